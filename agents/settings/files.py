"""Reads YAML files of settings strictly, and names files after environments."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import yaml

from agents.settings.strict_yaml import NotSettings, parse_yaml
from agents.settings.values import ConfigError, plain
from agents.writing import write_text

_LARGEST = 100_000  # characters
_LONGEST_NAME = 120  # bytes; file systems allow 255


def read_yaml(path: Path) -> dict[str, object]:
    """The settings in a file, a flat mapping. Raises ConfigError, in one line, if the file contains anything else."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ConfigError(f"{path} has more than {_LARGEST:,} characters: it is not a file of settings")
        data = parse_yaml(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not YAML: it is not UTF-8 text") from None
    except NotSettings as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{path} must contain settings as `key: value` lines, not a {type(data).__name__}")
    return data


def write_yaml(path: Path, settings: Mapping[str, object], comment: str = "") -> None:
    """The inverse of `read_yaml`; keys keep their order. comment: a first line."""
    content = {key: plain(value) for key, value in settings.items()}
    text = yaml.dump(content, Dumper=_WithoutAliases, sort_keys=False, default_flow_style=None, allow_unicode=True)
    write_text(path, (f"# {comment}\n" if comment else "") + text)


def directory_name(env_id: str) -> str:
    """An environment's id as a file name: "ALE/Pong-v5" → "ALE-Pong-v5". A hash replaces the end of a long id."""
    name = env_id.replace("/", "-").replace(":", "-")
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) <= _LONGEST_NAME:
        return name
    return f"{raw[: _LONGEST_NAME - 17].decode('utf-8', 'ignore')}-{hashlib.sha256(raw).hexdigest()[:16]}"


class _WithoutAliases(yaml.SafeDumper):
    """Writes repeated lists and mappings in full, since `read_yaml` rejects aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True
