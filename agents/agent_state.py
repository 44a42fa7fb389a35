"""`AgentState`: the state of an agent, for checkpoints and for copies."""

from collections.abc import Mapping
from typing import cast

from torch import Generator

from agents.loop import Loop, Trainable
from agents.parts import Stateful, is_stateful, load_state, state_of
from envs import Worlds, saved


class AgentState:
    """Base of agents: the state of their attributes, environments and loop."""

    seed: int
    worlds: Worlds
    loop: Loop

    def state_dict(self) -> dict[str, object]:
        """Name → state of every attribute that is a generator or has a `state_dict`, and the extra state.

        Excludes the environments and the loop, which `save` stores separately.
        """
        return {**state_of(self._parts()), "extra": self.get_extra_state()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """The inverse of `state_dict`. Raises KeyError if a part is missing."""
        load_state(self._parts(), state)
        self.set_extra_state(saved.mapping(state["extra"], "extra"))

    def get_extra_state(self) -> dict[str, object]:
        """State outside the attributes that have a `state_dict`."""
        return {}

    def set_extra_state(self, state: Mapping[str, object]) -> None:
        """The inverse of `get_extra_state`."""

    def copy_worlds(self, num_envs: int) -> Worlds:
        """New environments for a copy of the agent."""
        raise NotImplementedError(f"{type(self).__name__} defines no copy_worlds, which a copy needs")

    def __getstate__(self) -> dict[str, object]:
        """For copy.deepcopy and pickle. A copy has its own environments, restored to the same state as by `load`."""
        held = {name: value for name, value in vars(self).items() if name not in ("worlds", "loop")}
        worlds = {"num_envs": self.worlds.total_envs, "closed": self.worlds.closed}
        return {**held, "loop": self.loop.state_dict(), "worlds": worlds}

    def __setstate__(self, state: dict[str, object]) -> None:
        loop, worlds = (cast("dict[str, object]", state.pop(name)) for name in ("loop", "worlds"))
        vars(self).update(state)
        self.worlds = self.copy_worlds(cast(int, worlds["num_envs"]))
        self.loop = Loop(cast(Trainable, self), self.worlds, self.seed)
        self.loop.load_state_dict(loop)
        if worlds["closed"]:
            self.worlds.close()

    def _parts(self) -> dict[str, Generator | Stateful]:
        return {
            name: part
            for name, part in vars(self).items()
            if isinstance(part, Generator) or is_stateful(part)
            if name not in ("env", "worlds", "loop")
        }
