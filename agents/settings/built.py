"""`BuiltSettings`: settings can change on a built agent only if the change takes effect."""

from typing import TYPE_CHECKING, ClassVar

from agents.settings.schema import convert_settings
from agents.settings.values import ConfigError


def may_change(cls: type, name: str) -> bool:
    """Whether a setting may change on a built agent, according to `changeable` of the class that first declares it.

    All settings of a class that declares no `changeable`, such as a user's, may change.
    """
    owners = [base for base in reversed(cls.__mro__) if name in vars(base).get("__dataclass_fields__", {})]
    return name in vars(owners[0]).get("changeable", (name,))


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
