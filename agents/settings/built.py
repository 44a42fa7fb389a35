"""`BuiltSettings`: settings can change on a built agent only if the change takes effect."""

from typing import TYPE_CHECKING

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

    if not TYPE_CHECKING:  # with __setattr__, mypy would accept any attribute

        def __setattr__(self, name: str, value: object) -> None:
            """Raises ConfigError if a setting of a built agent cannot change, or not to this value."""
            cls, before = type(self), vars(self).get(name)
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
