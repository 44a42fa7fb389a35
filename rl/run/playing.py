"""Loads the agent whose episodes a command plays."""

from agents import registry
from agents.agent import Agent
from agents.checkpoint import Checkpoint
from agents.settings.values import ConfigError
from rl.run.imports import name_imports


def acting(read: Checkpoint, done: str) -> Agent:
    """The agent that acts; prints the modules that loading it imports. done: what the command does with it.

    Raises ConfigError if the agent was trained on an environment object, which no file holds.
    """
    actor = read.actor()
    name_imports(actor)
    if actor.env is None:
        raise ConfigError(
            f"{read.path}: the agent was trained on an environment object; only one with a name can be {done}"
        )
    return registry.restore(actor)
