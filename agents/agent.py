"""`Agent`: environments, the training loop, `learn`, `predict`, `save` and `load`."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from agents import checkpoint
from agents.agent_state import AgentState
from agents.checkpoint import Checkpoint, CheckpointError
from agents.loop import Loop, RunChunk
from agents.machine import say_compiling, torch_threads
from agents.progress import ProgressBar
from agents.restoring import restored
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout
from agents.settings.built import BuiltSettings
from agents.settings.keywords import CheckedKeywords, check_keywords, checked
from agents.settings.ranges import Extent, Interval
from agents.settings.sb3_names import NamesOfSB3
from agents.settings.schema import plain_settings, setting_types, setting_values
from agents.settings.values import ConfigError, converted
from agents.training import AnyHook, check_hooks
from envs import EnvLike, Worlds, batched
from envs.absent import absent_form
from envs.masks import given_masks
from envs.spaces import Flat, to_env_action


class Agent(AgentState, BuiltSettings, NamesOfSB3, metaclass=CheckedKeywords):
    """The interface that commands, records and checkpoints use of an algorithm.

    A subclass defines `act`, and `update` or `chunk`. To add an algorithm, subclass `Algorithm`, which also builds the
    environments.
    """

    env: EnvLike
    seed: int
    n_steps: int  # steps of each environment per update
    threads: int  # torch threads during training
    worlds: Worlds
    obs_space: Flat
    loop: Loop
    predicting: Generator  # used by `predict`

    name: ClassVar[str]  # of the class, for commands and checkpoints: a registered name or "module:Class"
    wraps: ClassVar[str | None] = None  # name of the wrapped agent's class, for an algorithm that wraps one

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = f"{cls.__module__}:{cls.__qualname__}"

    # --- the algorithm ---

    @abstractmethod
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """Actions for N observations, obs: [N, …]. generator: the agent's own by default."""

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """Learns from a rollout and returns scalar metrics. progress: the fraction of training done, in [0, 1)."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update nor chunk")

    @property
    def recurrent(self) -> bool:
        """Whether `act` needs the state that it returned one step before."""
        return False

    @property
    def chunk(self) -> RunChunk | None:
        """A function that makes several iterations in one call; None if the loop should collect and update."""
        return None

    def on_reset(self) -> None:
        """Called after the loop has reset environments in mid-episode: all of them, or one whose process died."""

    def compile(self, on_compile: Callable[[], None] | None = None) -> None:
        """Compiles what training needs, if anything; calls `on_compile` before compiling."""

    def warm_start(self, run: str | Path) -> None:
        """Copies networks and observation statistics from a trained agent. Raises ConfigError if they do not fit."""
        raise ConfigError(f"warm_start: {type(self).__name__} cannot start from another agent's networks")

    # --- for commands and records ---

    @property
    def engine_in_use(self) -> str:
        return "torch"

    @property
    def settings(self) -> dict[str, object]:
        return setting_values(self)

    @property
    def networks(self) -> list[nn.Module]:
        """Every network that learns."""
        return [part for part in vars(self).values() if isinstance(part, nn.Module)]

    def describe(self) -> dict[str, str]:
        """Title → text: the summary that a run prints before training."""
        worlds = self.worlds
        spaces = " ".join(f"{worlds.env_obs_space} → {worlds.env_action_space}".split())  # NumPy inserts line breaks
        count, ranks = sum(p.numel() for network in self.networks for p in network.parameters()), self.loop.ranks
        processes = "" if ranks.count == 1 else f", {worlds.num_envs} in each of {ranks.count} processes"
        return {
            "environment": f"{self.env}, {worlds.total_envs} in parallel ({worlds.backend}){processes}",
            "spaces": spaces + (", action masks obeyed" if worlds.masked else ""),
            "networks": f"{count:,} parameters",
            "seed": str(self.seed),
        }

    @classmethod
    def settings_classes(cls) -> tuple[type, ...]:
        """The dataclasses whose fields are the agent's settings."""
        return (cls,)

    # --- the interface ---

    @checked
    def learn(
        self, total_timesteps: float, hooks: Sequence[AnyHook] = (), progress: bool = False,
        reset_num_timesteps: bool = False, log_interval: int = 100,
    ) -> Self:  # fmt: skip
        """Trains for at most this many further environment steps; returns the agent. See `agents.loop.Loop.run`.

        hooks: functions of a Status and `agents.hooks.Hook` objects. progress: whether to show a progress bar.
        reset_num_timesteps: whether to count steps from 0 again, so that schedules restart, in new episodes; otherwise
        counting and schedules continue. log_interval: updates per `Log`, for hooks with `on_log`.
        Raises ConfigError if total_timesteps is not a whole number (1e5 is one), or for invalid hooks.
        """
        total = cast(int, converted("total_timesteps", total_timesteps, Extent))
        every = cast(int, converted("log_interval", log_interval, Interval))
        check_hooks(hooks)
        self.loop.check_idle()
        self.compile(say_compiling)
        if reset_num_timesteps:
            self.loop.begin_anew()
        with ExitStack() as stack:
            stack.enter_context(torch_threads(self.threads))
            until = self.loop.step + total
            bar = stack.enter_context(closing(ProgressBar(until, self.loop.step, hidden=False))) if progress else None
            self.run_loop(until, [*hooks, bar] if bar else hooks, every)
        return self

    def run_loop(self, until: int, hooks: Sequence[AnyHook], log_interval: int) -> None:
        """The loop of `learn`, after compilation: trains until `loop.step` reaches `until`."""
        self.loop.run(until, hooks, log_interval)

    @checked
    def predict(
        self, observation: object, state: Tensor | None = None, episode_start: Array | None = None,
        deterministic: bool = False, action_masks: Array | None = None,
    ) -> tuple[Array, Tensor | None]:  # fmt: skip
        """The environment's action for one observation or a batch, and the recurrent state.

        state: the state that the previous call returned; episode_start: bool[N], where the state is reset to zero;
        action_masks: bool[N, A], the legal actions. Does not change the random numbers of training.
        Raises ValueError if the observation is not finite or not in the environment's space, and on masks that do not
        fit or allow no action; FloatingPointError if the policy's output is not finite.
        """
        obs, single = batched(self.worlds.env_obs_space, observation)
        if obs.dtype.kind == "f" and not np.isfinite(obs).all():
            raise ValueError(f"observation is not finite: {obs.tolist()}")
        if state is not None and episode_start is not None:
            state = state.masked_fill(torch.as_tensor(episode_start, dtype=torch.bool).reshape(-1, 1), 0.0)
        actions = self.worlds.env_action_space
        legal = None if action_masks is None else given_masks(action_masks, actions, len(obs))
        choice = self.act(obs, deterministic, self.predicting, Context(legal, state))
        if bool((choice.raw.isnan() | choice.raw.isposinf()).any()):  # −inf: an illegal action
            raise FloatingPointError("the policy's output is not finite, since its parameters are not: train it anew")
        env_action = to_env_action(actions, choice.action.numpy(force=True))
        return (env_action[0] if single else env_action), choice.state

    @checked
    def save(self, path: str | Path, extra: Mapping[str, object] | None = None) -> Path:
        """Writes what an exact resume needs, and `extra`, to `path` (.pt is added if missing). Returns the path.

        All ranks call it together; the first one writes.
        """
        content = self.checkpoint(extra or {})
        return content.write(path) if self.loop.ranks.index == 0 else Path(path)

    def checkpoint(self, extra: Mapping[str, object]) -> Checkpoint:
        """The content that `save` writes; it shares memory with the agent. All ranks call it together."""
        return Checkpoint(
            agent=self.name,
            wraps=self.wraps,
            engine=self.engine_in_use,
            env=self.env if isinstance(self.env, str) else None,
            spaces=spaces_of(self.worlds),
            absent=None if isinstance(self.env, str) else absent_form(self.worlds),
            settings=plain_settings(self.settings),
            state=self.state_dict(),
            loop=self.loop.state_dict(),
            extra=dict(extra),
        )

    @classmethod
    def load(
        cls, path: str | Path, env: EnvLike | None = None, engine: str | None = None,
        *, best: bool = False, trust: bool = True, finite: bool = True, **changes: object,
    ) -> Self:  # fmt: skip
        """Loads an agent from a run directory or checkpoint; of an agent that wraps one of this class, the wrapped one.

        best: for a run directory, load the checkpoint of the best evaluation during training, not the newest.
        env: replaces the saved id; training then starts new episodes. An agent that was trained on an environment
        object can predict without one. engine: replaces the saved one. changes: replace other settings.
        trust: whether to import the modules that the file names (`Checkpoint.imports`). finite: whether to reject
        parameters that are NaN or infinite. `agent.loop.exact` tells whether the environments' state was restored.
        Raises CheckpointError if the file is damaged, not a checkpoint, of another class, or for other spaces.
        """
        check_keywords("load", changes, setting_types(*cls.settings_classes()))
        read = checkpoint.read(path, best)
        read = read if read.agent == cls.name else read.unwrapped(cls.name)
        return cls.restore(read, env, engine, trust=trust, finite=finite, changes=changes)

    @classmethod
    def restore(
        cls, read: Checkpoint, env: EnvLike | None = None, engine: str | None = None,
        *, trust: bool = True, finite: bool = True, changes: Mapping[str, object] | None = None,
    ) -> Self:  # fmt: skip
        """The agent that a checkpoint describes. See `load`."""
        if not trust:
            read.refuse_imports(env is None)
        target, settings, goes_on = restored(read, env, engine, setting_types(*cls.settings_classes()), changes or {})
        agent = cls.build_from(target, settings)
        try:
            if (spaces := spaces_of(agent.worlds)) != read.spaces:
                raise CheckpointError(f"{read.path} is for the spaces {read.spaces}; {target} has {spaces}")
            read.load_into(agent, goes_on, finite)
        except BaseException:
            agent.worlds.close()
            raise
        return agent

    @classmethod
    def build_from(cls, env: EnvLike, settings: Mapping[str, object]) -> Self:
        """A new agent. settings: name → value; the others have their defaults."""
        return cls(env, **settings)  # type: ignore[call-arg]


def spaces_of(worlds: Worlds) -> list[str]:
    return [repr(worlds.env_obs_space), repr(worlds.env_action_space)]
