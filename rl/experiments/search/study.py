"""A search on disk: a resumable Optuna study that proposes settings and takes scores."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

from agents.settings.values import ConfigError, plain
from envs.extras import install_command
from rl.experiments.search import journal
from rl.experiments.search.space import Parameters, Space, draw
from rl.experiments.search.stopping import MEDIAN, Stopping
from rl.run.files import lock

if TYPE_CHECKING:
    import optuna


_ENOUGH = 8  # distinct scores needed to report importances
_ATTEMPTS = 2  # at a trial whose process is killed
End = Literal["finished", "stopped", "failed"]
Sampler = Literal["tpe", "random"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random")


class Tried(NamedTuple):
    """An ended trial: finished, stopped early, or failed."""

    number: int
    end: End
    scores: list[float]  # of the trained seeds, at the last part that counts
    settings: dict[str, object]  # the searched settings, as plain data
    reason: str  # why it failed

    @property
    def score(self) -> float | None:
        """Mean over seeds."""
        return fmean(self.scores) if self.scores else None


@dataclass
class Candidate:
    """A trial in progress."""

    trial: "optuna.trial.Trial"
    settings: dict[str, object]
    folder: str  # for its runs
    scores: list[float] = field(default_factory=list)  # one per leg


class Search:
    """Searches a space by TPE (Bergstra et al. 2011) or at random; trials may be stopped early.

    Each trial draws from a generator seeded with its number.
    """

    def __init__(
        self, directory: Path, space: Space, about: Mapping[str, object], defaults: Mapping[str, object] | None = None,
        stopping: Stopping = MEDIAN, sampler: Sampler = "tpe",
    ) -> None:  # fmt: skip
        """about: everything besides the space that scores depend on. defaults: values of settings added since the
        search began. Raises ConfigError if the directory contains another search, or if Optuna is not installed.
        """
        if find_spec("optuna") is None:
            raise ConfigError(f"the search needs Optuna: {install_command('tune')}")
        self._space, self._stopping, self._sampler = space, stopping, sampler
        about, usual = {**about, "pruner": stopping.pruner, "sampler": sampler}, {"pruner": "median", "sampler": "tpe"}
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = lock(directory, links=(journal.LOCK,))
        try:
            self._study = journal.open_study(directory, space, about, {**usual, **(defaults or {})})
            self._study.pruner = stopping.rule()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Releases the directory to other processes."""
        self._lock.close()

    def ended(self) -> list[Tried]:
        """The ended trials, ordered by number."""
        return [self._tried(trial) for trial in self._trials("COMPLETE", "PRUNED")]

    def best(self) -> Tried | None:
        finished = [trial for trial in self.ended() if trial.end == "finished"]
        return max(finished, key=lambda trial: fmean(trial.scores), default=None)

    def queue(self, parameters: Parameters) -> None:
        """Queues a trial with these draws before all others unless it was queued before; other parameters are drawn."""
        self._study.enqueue_trial(dict(parameters), skip_if_exists=True)

    def retry_interrupted(self) -> None:
        """Queues the trials that were in progress when the search was interrupted."""
        for trial in self._trials("RUNNING"):
            self._retry(trial, trial.user_attrs.get("lost", 0))

    def retry_lost(self, candidate: Candidate) -> Tried | None:
        """Queues a trial whose worker was lost; the second time, fails the trial and returns it."""
        lost = candidate.trial.user_attrs.get("lost", 0) + 1
        if lost == _ATTEMPTS:
            return self.give_up(candidate, "the process that trained it, or another beside it, was killed, twice")
        self._retry(candidate.trial, lost)
        return None

    def _retry(self, trial: "optuna.trial.Trial | optuna.trial.FrozenTrial", lost: int) -> None:
        import optuna

        self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        kept = {"lost": lost, "folder": _folder(trial), "scores": trial.user_attrs.get("scores", [])}
        self._study.enqueue_trial(trial.params, user_attrs=kept)

    def ask(self) -> Candidate:
        """The next trial, with its scores from before an interruption."""
        self._study.sampler = _sampler(self._sampler, len(self._study.get_trials(deepcopy=False)))
        trial = self._study.ask()
        settings = draw(self._space, trial)
        trial.set_user_attr("settings", {key: plain(value) for key, value in settings.items()})
        candidate = Candidate(trial, settings, _folder(trial))
        for score in trial.user_attrs.get("scores", []):
            self.take_score(candidate, score)
        return candidate

    def end_like_twin(self, candidate: Candidate) -> Tried | None:
        """If an earlier trial has the same settings, ends this one with the same scores."""
        settings = {key: plain(value) for key, value in candidate.settings.items()}
        ended = self._trials("COMPLETE", "PRUNED")
        twin = next((trial for trial in ended if trial.user_attrs.get("settings") == settings), None)
        if twin is None:
            return None
        for score in twin.user_attrs.get("scores", [])[len(candidate.scores) :]:
            self.take_score(candidate, score)
        tried = self._tried(twin)
        return self.finish(candidate) if tried.end == "finished" else self.give_up(candidate, tried.reason)

    def take_score(self, candidate: Candidate, score: float) -> bool:
        """Adds the score of the next leg. Returns whether the trial should continue."""
        candidate.scores.append(score)
        candidate.trial.set_user_attr("scores", candidate.scores)
        report = self._stopping.report(candidate.scores)
        if report is None:
            return True
        candidate.trial.report(*report)
        return not candidate.trial.should_prune()

    def finish(self, candidate: Candidate) -> Tried:
        return self._tried(self._study.tell(candidate.trial, fmean(self._stopping.standing(candidate.scores))))

    def give_up(self, candidate: Candidate, reason: str = "") -> Tried:
        """reason: why the trial failed; empty if it was stopped early."""
        import optuna

        candidate.trial.set_user_attr("reason", reason)
        return self._tried(self._study.tell(candidate.trial, state=optuna.trial.TrialState.PRUNED))

    def importances(self) -> dict[str, float]:
        """How strongly each setting distinguishes the best tenth of the trials, largest first; sums to 1.

        PED-ANOVA (Watanabe et al. 2023). With halving, all trials are compared by their scores after the first part.
        Parameters that some trial did not draw are left out.
        """
        import optuna
        from optuna.trial import create_trial

        compared = optuna.create_study(direction="maximize")
        for trial in self._trials("COMPLETE", "PRUNED"):
            if (score := self._stopping.comparable(trial)) is not None:
                scored = create_trial(value=score, params=trial.params, distributions=trial.distributions)
                compared.add_trial(scored)
        if len({trial.value for trial in compared.trials}) < _ENOUGH:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about settings drawn in only one way
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            always = set.intersection(*({*trial.params} for trial in compared.trials))
            return optuna.importance.get_param_importances(compared, evaluator=evaluator, params=sorted(always))

    def _tried(self, trial: "optuna.trial.FrozenTrial") -> Tried:
        attributes = trial.user_attrs
        reason = str(attributes.get("reason", ""))
        end: End = "finished" if trial.state.name == "COMPLETE" else "failed" if reason else "stopped"
        scores = self._stopping.standing(attributes.get("scores", []))
        return Tried(trial.number, end, scores, attributes.get("settings", {}), reason)

    def _trials(self, *states: str) -> "list[optuna.trial.FrozenTrial]":
        import optuna

        return self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState[name] for name in states])


def _sampler(name: Sampler, seed: int) -> "optuna.samplers.BaseSampler":
    import optuna

    if name == "random":
        return optuna.samplers.RandomSampler(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _folder(trial: "optuna.trial.Trial | optuna.trial.FrozenTrial") -> str:
    return str(trial.user_attrs.get("folder", f"trial-{trial.number}"))
