"""Parses names given by users: environments by id or class, and wrappers with arguments."""

import ast
import difflib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import yaml
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id


def full_id(env_id: str) -> str:
    """Adds the latest version to an id without one: "CartPole" → "CartPole-v1". Returns any other id unchanged."""
    try:
        namespace, name, version = parse_env_id(env_id)
    except gym.error.Error:
        return env_id
    latest = find_highest_version(namespace, name) if version is None and env_id not in gym.registry else None
    return env_id if latest is None else get_env_id(namespace, name, latest)


def nearest(env_id: str, known: Iterable[str]) -> str:
    """ "; did you mean 'CartPole-v1'?", or "" if no known id is similar."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(env_id.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def load_module(name: str) -> ModuleType:
    """Imports a module by name, or from a file "folder/file.py", which becomes the module `file`.

    Raises ImportError, and whatever the module raises.
    """
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    loaded = sys.modules.get(path.stem)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
        raise ImportError(f"{name} cannot be imported beside another module {path.stem!r}: rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ModuleNotFoundError(f"no file {name}", name=name)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def environments_in(module: ModuleType) -> list[str]:
    """The names of the environment classes in a module."""
    return [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, gym.Env)]


def parse_wrapper(text: str) -> tuple[str, str, dict[str, object]]:
    """ "module:Class:key=value:key=value" → module, class and arguments.

    Without a module, the class is one of gymnasium.wrappers. Values are numbers, text, true, false, null, and lists
    and mappings of these, as in Python or YAML; lists become tuples.
    """
    name, *pairs = re.split(r":(?=[A-Za-z_]\w*=)", text)
    module, _, attribute = name.rpartition(":")
    arguments = {key: _value(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    return module or "gymnasium.wrappers", attribute, arguments


def _value(text: str) -> object:
    try:
        return _without_lists(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            return text  # ten lines of aliases can stand for more values than a memory holds
        return _without_lists(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _without_lists(value: object) -> object:
    return tuple(map(_without_lists, value)) if isinstance(value, list | tuple) else value
