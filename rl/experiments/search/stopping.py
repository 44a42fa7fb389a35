"""Which seed a trial trains next, how far, and when the trial is stopped early."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import optuna

Pruner = Literal["median", "halving", "none"]
PRUNERS: tuple[Pruner, ...] = ("median", "halving", "none")
_STARTUP = 8  # finished trials before the median rule applies
_FACTOR, _RUNGS = 3, 3  # successive halving: the best third advances from each of the rungs but the last


class Leg(NamedTuple):
    """A part of a trial that ends with a score."""

    seed: int
    pause_at: int | None  # environment steps; None: to the end


class Stopping(NamedTuple):
    """median: one seed after another, as long as the mean of their scores is not below the median of earlier trials.

    halving: all seeds for a ninth of the steps, then a third, then all, as long as the mean of their scores is in the
    best third of the trials so far (asynchronous successive halving, Li et al. 2020).
    """

    pruner: Pruner = "median"
    seeds: Sequence[int] = (0,)
    total_timesteps: int = 1

    @property
    def legs(self) -> list[Leg]:
        pauses: list[int | None] = [None]
        if self.pruner == "halving":
            pauses = [max(1, self.total_timesteps // _FACTOR**k) for k in range(_RUNGS - 1, 0, -1)] + pauses
        return [Leg(seed, pause) for pause in pauses for seed in self.seeds]

    def standing(self, scores: Sequence[float]) -> list[float]:
        """The scores of the seeds that count: all of them; with halving, those of the last complete rung."""
        if self.pruner != "halving":
            return list(scores)
        whole = len(scores) - len(scores) % len(self.seeds)
        return list(scores[max(0, whole - len(self.seeds)) : whole])

    def report(self, scores: Sequence[float]) -> tuple[float, int] | None:
        """What to report to Optuna after these scores: a mean and its step; None while a rung is incomplete."""
        if self.pruner != "halving":
            return fmean(scores), len(scores)
        rung, missing = divmod(len(scores), len(self.seeds))
        return None if missing else (fmean(self.standing(scores)), _FACTOR ** (rung - 1))

    def comparable(self, trial: "optuna.trial.FrozenTrial") -> float | None:
        """A score of the trial after as many steps as the others' scores; None if there is no such score."""
        if self.pruner == "halving":
            return trial.intermediate_values.get(1)
        return trial.value if trial.state.name == "COMPLETE" else None

    def rule(self) -> "optuna.pruners.BasePruner":
        import optuna

        if self.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_FACTOR)
        if self.pruner == "median":
            return _below_median()
        return optuna.pruners.NopPruner()

    def __str__(self) -> str:
        """The reason for stopping, for a page."""
        return {
            "median": "their mean was below the median of the trials before",
            "halving": "their mean was not among the best third after a ninth or a third of the steps",
            "none": "which this search does not do",
        }[self.pruner]


def _below_median() -> "optuna.pruners.BasePruner":
    """The median rule. Optuna's own judges a trial by the highest of its means, after whichever seed that was."""
    import optuna

    class BelowMedian(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            step = trial.last_step
            if step is None or len(finished) < _STARTUP:
                return False
            earlier = [each.intermediate_values[step] for each in finished if step in each.intermediate_values]
            return bool(earlier) and trial.intermediate_values[step] < median(earlier)

    return BelowMedian()


MEDIAN = Stopping()
