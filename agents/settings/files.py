"""YAML files of settings: strict reading, atomic writing."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from agents.settings.values import YAML_LEAKS, ConfigError, plain


def read_yaml(path: Path) -> dict[str, object]:
    """The settings of a file, a flat mapping. Raises ConfigError, one line, if the file is anything else."""
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, _StrictLoader)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not YAML: it is not UTF-8 text") from None
    except YAML_LEAKS as error:
        raise ConfigError(f"{path} is not YAML: {type(error).__name__}: {' '.join(str(error).split())}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not YAML: {getattr(error, 'problem', None) or 'syntax error'}{where}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{path} must contain settings as `key: value` lines, not a {type(data).__name__}")
    return data


def write_yaml(path: Path, settings: Mapping[str, object], comment: str = "") -> None:
    """The inverse of `read_yaml`; keys keep their order. comment: a first line."""
    content = {key: plain(value) for key, value in settings.items()}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True)
    write_text(path, (f"# {comment}\n" if comment else "") + text)


def write_text(path: Path, text: str) -> None:
    """Writes a file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def directory_name(env_id: str) -> str:
    """An environment's id as a file name: "ALE/Pong-v5" → "ALE-Pong-v5"."""
    return env_id.replace("/", "-").replace(":", "-")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that rejects duplicate keys, of which PyYAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                mark = node.value[i][0].start_mark
                raise yaml.constructor.ConstructorError(problem=f"key {key!r} given twice", problem_mark=mark)
        return super().construct_mapping(node, deep)
