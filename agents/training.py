"""`Hook` and `Training`: the events of `learn`, and what hooks may request. See docs/hooks.md."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from agents.events import Evaluated, Image, Log, Picture, Status, Stop
from agents.logger import Logger
from agents.rollout import Actor, Episode
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from envs import saved

ANY_INTERVAL = 2**60  # `interval` of a hook that needs no particular update


class Hook:
    """Methods called at the events of training; a subclass defines those that it needs.

    At every event, the hooks are called in the order of their list. A hook may change the agent and call the methods of
    `Training`. If a hook raises, training ends with its error.
    """

    interval: int = 1  # updates between calls of on_update, which may also come earlier
    step_interval: int = 0  # environment steps between calls of on_steps
    defers_log: bool = False  # whether on_log may come after later updates: the fused engine then need not stop

    def on_begin(self, training: "Training") -> None:
        """Called before the first update of a call of `learn`."""

    def on_episode(self, training: "Training", episode: Episode) -> None:
        """Called for each finished episode, after the updates in which it ended."""

    def on_update(self, training: "Training", status: Status) -> None:
        """Called after one or several updates, at the latest when their number is a multiple of `interval`.

        The fused engine makes all updates in between in one call, so a small interval slows it down.
        """

    def on_log(self, training: "Training", log: Log) -> None:
        """Called after every `log_interval` updates; `log_interval` is an argument of `learn`."""

    def on_steps(self, training: "Training") -> None:
        """Called after the first update at or past each multiple of `step_interval` environment steps."""

    def on_evaluation(self, training: "Training", evaluated: Evaluated) -> None:
        """Called after `agents.hooks.Evaluations` has evaluated the agent."""

    def on_checkpoint(self, training: "Training", path: Path) -> None:
        """Called after `agents.hooks.Checkpoints` has written a checkpoint."""

    def on_image(self, training: "Training", image: Image) -> None:
        """Called after a hook has called `Training.show`."""

    def on_end(self, training: "Training") -> None:
        """Called at the end of a call of `learn`, even if it failed. `training.stopped`: what ended it early."""


Function = Callable[[Status], bool | None]
AnyHook = Hook | Function
"""A `Hook`; or a function, called after every update, or as `Hook.on_update` if it has an attribute `interval`.
Training ends when it returns False."""


class _Calls(Hook):
    """A hook that calls a function."""

    def __init__(self, function: Function) -> None:
        self._function, self.interval = function, int(getattr(function, "interval", 1))

    def on_update(self, training: "Training", status: Status) -> None:
        answer = self._function(status)
        if isinstance(answer, bool | np.bool_) and not answer:
            training.stop(_name(self._function), "returned False")


def check_hooks(hooks: object) -> None:
    """Raises ConfigError unless the hooks are a list of hooks and functions."""
    if not isinstance(hooks, Sequence) or not all(isinstance(hook, Hook) or callable(hook) for hook in hooks):
        raise ConfigError(
            "hooks must be a list of functions of a Status or of agents.hooks.Hook objects, such as [f], got "
            f"{saved.shown(hooks)}; a callback of Stable-Baselines3 becomes such a function or object"
        )
    for hook in hooks:
        if isinstance(hook, type):
            raise ConfigError(f"hooks must be objects, got the class {hook.__name__}: pass {hook.__name__}(…)")
        if isinstance(hook, Hook):
            _check_events(hook)
        if not isinstance(hook, Hook) or _defines(hook, "on_update"):
            _check_interval(hook, "interval", getattr(hook, "interval", 1))
        if isinstance(hook, Hook) and _defines(hook, "on_steps"):
            _check_interval(hook, "step_interval", hook.step_interval)


def _check_events(hook: Hook) -> None:
    """Raises ConfigError if a method's name begins like an event's but no event calls it."""
    events = [name for name in dir(Hook) if name.startswith("on_")]
    for name in dir(type(hook)):
        if name.startswith("on_") and name not in events and callable(getattr(type(hook), name)):
            close = suggestion(name, events) or f"; the events are {', '.join(events)}"
            raise ConfigError(f"{_name(hook)}.{name} is never called, since no event has this name{close}")


def _check_interval(hook: AnyHook, what: str, value: object) -> None:
    """Raises ConfigError unless it is a whole number, of that type, of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        wanted = "a whole number, such as 10_000"
    elif value < 1:
        wanted = "at least 1"
    else:
        return
    raise ConfigError(f"{_name(hook)}.{what} must be {wanted}, got {saved.shown(value)}")


def _name(hook: AnyHook) -> str:
    return type(hook).__name__ if isinstance(hook, Hook) else getattr(hook, "__name__", type(hook).__name__)


def _defines(hook: Hook, event: str) -> bool:
    return getattr(type(hook), event) is not getattr(Hook, event)


class Training:
    """A call of `learn`, as hooks see it: its progress, and what they may request."""

    def __init__(
        self, agent: Actor, start: Status, hooks: Sequence[AnyHook], log_interval: int, logger: Logger
    ) -> None:
        """start: the state at the beginning."""
        self.agent, self.stopped = agent, None
        self.step, self.until, self.iteration, self.seconds = start[:4]  # as in `Status`
        self._hooks = [hook if isinstance(hook, Hook) else _Calls(hook) for hook in hooks]
        self._logger, self._log_interval = logger, log_interval
        self._on_episode, self._on_update, self._on_log, self._on_steps = (
            [hook for hook in self._hooks if _defines(hook, event)]
            for event in ("on_episode", "on_update", "on_log", "on_steps")
        )

    stopped: Stop | None  # what ends training early
    failed = False  # whether training ends with an exception

    @property
    def _intervals(self) -> list[int]:
        """The intervals of updates at which hooks must be called; a hook may change its own."""
        intervals = [hook.interval for hook in self._on_update]
        return intervals if all(hook.defers_log for hook in self._on_log) else [*intervals, self._log_interval]

    @property
    def interval(self) -> int:
        """The smallest interval of updates that any hook needs to see."""
        return min([*self._intervals, self._log_interval if self._on_log else ANY_INTERVAL])

    def updates_ahead(self, steps: int) -> int:
        """Updates up to the next one that a hook must see. steps: environment steps per update."""
        ahead = [interval - self.iteration % interval for interval in self._intervals]
        ahead += [-(-(hook.step_interval - self.step % hook.step_interval) // steps) for hook in self._on_steps]
        return min(ahead, default=ANY_INTERVAL)

    # --- what a hook may ask for ---

    def stop(self, by: str, why: str = "") -> None:
        """Ends training once all hooks have seen the latest update. by: the setting or hook; why: what happened."""
        self.stopped = self.stopped or Stop(by, why)

    def record(self, tag: str, value: float) -> None:
        """Adds a number to the next `Log`, which averages all values under this tag since the last one."""
        self._logger.record(tag, float(value))

    def show(self, tag: str, picture: Picture) -> None:
        """Passes a picture, a film or a figure to every hook."""
        for hook in self._hooks:
            hook.on_image(self, Image(self.step, tag, picture))

    # --- telling the hooks ---

    def begin(self) -> None:
        for hook in self._hooks:
            hook.on_begin(self)

    def updated(self, status: Status) -> None:
        """Notifies hooks of updates, in the order: episodes, updates, log, steps; deferred logs come first."""
        *deferred, last = self._split(status)
        before, self.step, self.iteration, self.seconds = self.step, status.step, status.iteration, status.seconds
        for part in deferred:
            self._add(part)
            self._log(part)
        self._add(last)
        for hook in self._on_update:
            hook.on_update(self, status)
        if self._on_log and status.iteration % self._log_interval == 0:
            self._log(last)
        for hook in self._on_steps:
            if self.step // hook.step_interval > before // hook.step_interval:
                hook.on_steps(self)

    def _split(self, status: Status) -> list[Status]:
        """Splits updates at each log in between. Times in between are interpolated."""
        first, updates = self.iteration, status.iteration - self.iteration
        every = self._log_interval
        cuts = range((first // every + 1) * every, status.iteration, every) if self._on_log else range(0)
        if not cuts:
            return [status]
        parts, begin, episodes = list[Status](), 0, deque(status.episodes)
        for end in (*(cut - first for cut in cuts), updates):
            step = self.step + (status.step - self.step) * end // updates
            seconds = self.seconds + (status.seconds - self.seconds) * end / updates
            ended = list[Episode]()
            while episodes and episodes[0].step <= step:
                ended.append(episodes.popleft())
            series = {name: metric[begin:end] for name, metric in status.series.items()}
            parts.append(Status(step, status.until, first + end, seconds, series, ended))
            begin = end
        return parts

    def _add(self, part: Status) -> None:
        for episode in part.episodes:
            self._logger.add_episode(episode)
            for hook in self._on_episode:
                hook.on_episode(self, episode)
        if self._on_log:
            self._logger.add(part.series)

    def _log(self, part: Status) -> None:
        log = Log(part.step, part.iteration, part.seconds, self._logger.row(part.step, part.seconds))
        for hook in self._on_log:
            hook.on_log(self, log)

    def evaluated(self, evaluated: Evaluated) -> None:
        for hook in self._hooks:
            hook.on_evaluation(self, evaluated)

    def saved(self, path: Path) -> None:
        for hook in self._hooks:
            hook.on_checkpoint(self, path)

    def end(self) -> None:
        """Calls every hook's on_end, then raises the first error."""
        errors = list[BaseException]()
        for hook in self._hooks:
            try:
                hook.on_end(self)
            except BaseException as error:  # a later hook may hold files that only its on_end closes
                errors.append(error)
        if errors:
            raise errors[0]
