"""`Checkpoints`: the hook that keeps the newest checkpoints of a training and the one of the best evaluation."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from agents import checkpoint
from agents.agent import Agent
from agents.checkpoint import Checkpoint, CheckpointError
from agents.events import Evaluated
from agents.settings.ranges import Count, Steps
from agents.settings.values import converted
from agents.training import Hook, Training
from agents.writing import replacing

STEP_INTERVAL = 50_000  # environment steps, by default
PAUSE = 2.0  # seconds of training between checkpoints that can wait


class Checkpoints(Hook):
    """Writes `directory`/checkpoints/step-N.pt after the first update at or past each multiple of `step_interval`
    environment steps, and `directory`/best.pt for each evaluation that is the best so far.

    step_interval=None: every 50,000 steps, but at least two seconds of training apart. The best agent is written at
    once, with a checkpoint; within two seconds of the last checkpoint, it waits for the next one or the end of `learn`.
    `A2C.load(directory)` loads the newest, with best=True the best one. Keeps the newest `keep`; None: all of them.
    """

    def __init__(
        self, directory: str | Path, step_interval: int | None = None, keep: int | None = 2,
        extra: Callable[[], Mapping[str, object]] = dict,
    ) -> None:  # fmt: skip
        """extra: saved with the agent. Raises ConfigError if a number is out of range."""
        self.directory, self.extra = Path(directory), extra
        given = cast("int | None", converted("step_interval", step_interval, Steps | None))
        self.step_interval, self._can_wait = given or STEP_INTERVAL, given is None
        self.keep = cast("int | None", converted("keep", keep, Count | None))
        self._best: Checkpoint | None = None  # waits to be written
        self._saved = -math.inf  # seconds of training at the last checkpoint

    def path(self, agent: Agent) -> Path:
        """The file of a checkpoint at the agent's current step."""
        return self._file("step", agent.loop.step)

    def _file(self, kind: str, step: int) -> Path:
        return self.directory / "checkpoints" / f"{kind}-{step:012}.pt"

    def save(self, agent: Agent) -> Path:
        """Writes a checkpoint of the current step and the waiting best one; deletes the oldest. Returns the path.

        All ranks call it together; the first one writes. A best one from an earlier step is stored as
        checkpoints/best-N.pt until the checkpoint is written, so best.pt is never newer than the checkpoint, and after
        a kill in between, `recover_best` completes best.pt.
        """
        path, best, first = self.path(agent), self._best, agent.loop.ranks.index == 0
        earlier = best is not None and first and best.step != agent.loop.step
        if best is not None and earlier:
            best.write(self._file("best", best.step))
        agent.save(path, self.extra())
        if first:
            if best is not None:
                self._make_best(best.step, earlier)
            self._delete_old(path)
        self._best, self._saved = None, agent.loop.seconds
        return path

    def _delete_old(self, latest: Path) -> None:
        """Deletes all but `keep`. The latest stays, even if steps were counted anew and earlier ones have more."""
        others = [path for path in checkpoint.in_order(latest.parent) if path != latest]
        for old in others[: max(0, len(others) + 1 - self.keep)] if self.keep else ():
            old.unlink(missing_ok=True)

    def _make_best(self, step: int, earlier: bool) -> None:
        best = self.directory / checkpoint.BEST
        if earlier:
            self._file("best", step).replace(best)
        else:
            with replacing(best) as file:
                file.write(self._file("step", step).read_bytes())

    def recover_best(self, step: int | None) -> None:
        """Completes best.pt if a kill interrupted `save`. step: of the best agent, according to the checkpoint."""
        folder, best = self.directory / "checkpoints", self.directory / checkpoint.BEST
        if step is not None and _step_of(best) != step:
            for kind in ("best", "step"):
                if self._file(kind, step).exists():
                    self._make_best(step, kind == "best")
                    break
        for other in folder.glob("best-*.pt"):
            other.unlink()

    def on_steps(self, training: Training) -> None:
        agent = cast(Agent, training.agent)
        if not self._can_wait or self._rested(agent):
            training.saved(self.save(agent))

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        if not evaluated.best:
            return
        agent = cast(Agent, training.agent)
        self._best = agent.checkpoint(self.extra()).detached()
        if self._rested(agent):
            training.saved(self.save(agent))

    def on_end(self, training: Training) -> None:
        """Writes the waiting best agent: with a checkpoint, or alone if training failed."""
        agent = cast(Agent, training.agent)
        if self._best is not None and not training.failed:
            training.saved(self.save(agent))
        elif self._best is not None and agent.loop.ranks.index == 0:
            self._best.write(self.directory / checkpoint.BEST)

    def _rested(self, agent: Agent) -> bool:
        """Whether the last checkpoint is old enough, by the first rank's clock, or steps were counted anew since."""
        return agent.loop.ranks.collect(not 0 <= agent.loop.seconds - self._saved < PAUSE)[0]


def _step_of(file: Path) -> int | None:
    """The step of a checkpoint; None if it is missing or damaged."""
    try:
        return checkpoint.read(file).step
    except CheckpointError:
        return None
