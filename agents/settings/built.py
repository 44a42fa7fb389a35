"""`BuiltSettings`: settings can change on a built agent only if the change takes effect."""

import difflib
from typing import TYPE_CHECKING, ClassVar

from agents.settings.sb3_names import ARGUMENTS, ATTRIBUTES
from agents.settings.schema import ALIASES, convert_settings, suggestion
from agents.settings.values import ConfigError


def may_change(cls: type, name: str) -> bool:
    """Whether a setting may change on a built agent, according to `changeable` of the class that first declares it.

    All settings of a class that declares no `changeable`, such as a user's, may change.
    """
    owners = [base for base in reversed(cls.__mro__) if name in vars(base).get("__dataclass_fields__", {})]
    return name in vars(owners[0]).get("changeable", (name,))


def _check_name(cls: type, name: str) -> None:
    """Raises ConfigError on a new attribute of an agent of this package that looks like a setting or one of SB3."""
    if cls.__module__.partition(".")[0] != "agents":
        return
    if meaning := ATTRIBUTES.get(name) or ARGUMENTS.get(name):
        raise ConfigError(f"{cls.__name__} has no {name}: {meaning}")
    own = _fields(cls)
    close = difflib.get_close_matches(name, own, n=1, cutoff=0.85)
    if close or name in ALIASES or name in _fields_below(BuiltSettings):
        raise ConfigError(f"{cls.__name__} has no setting {name!r}{suggestion(name, own)}")


def _fields(cls: type) -> set[str]:
    return set(getattr(cls, "__dataclass_fields__", ()))


def _fields_below(cls: type) -> set[str]:
    """The settings of all agents."""
    return _fields(cls).union(*map(_fields_below, cls.__subclasses__()))


class BuiltSettings:
    """Base of agents, which are dataclasses of settings. An agent counts as built once it has a `loop`."""

    held: ClassVar[dict[str, str]] = {  # attributes that others hold, so that another object would not be used: advice
        "worlds": "the loop steps them; call set_env, or pass env= to load",
        "obs_space": "it is that of the environments",
        "loop": "load a state_dict into it, or call learn with reset_num_timesteps=True",
    }

    if not TYPE_CHECKING:  # with __setattr__, mypy would accept any attribute

        def __setattr__(self, name: str, value: object) -> None:
            """Raises ConfigError on a setting of a built agent that cannot change, or not to this value; or on a part
            that would not be used."""
            cls, before = type(self), vars(self).get(name)
            if "loop" in vars(self) and name not in vars(self) and not hasattr(cls, name):
                _check_name(cls, name)
            if name in cls.held and "loop" in vars(self):
                raise ConfigError(f"{name} of a built agent cannot be replaced: {cls.held[name]}")
            built = "loop" in vars(self) and name in getattr(cls, "__dataclass_fields__", ())
            if built and not may_change(cls, name):
                raise ConfigError(f"{name} of a built agent cannot change: build another, {cls.__name__}(…, {name}=…)")
            super().__setattr__(name, value)
            if built:
                try:
                    convert_settings(self, cls)
                    self.check()
                except ConfigError:
                    super().__setattr__(name, before)
                    raise

    def check(self) -> None:
        """Raises ConfigError if a setting is out of range."""
