"""A search on disk: an Optuna study that proposes settings, takes scores, and goes on where it was left."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from agents.settings.values import ConfigError, plain, text_of
from rl.experiments.search.space import Parameters, Space, draw
from rl.run.recorder import lock

if TYPE_CHECKING:
    import optuna


_STARTUP = 8  # finished trials before any is stopped early

_ATTEMPTS = 2  # at a trial whose process was killed

End = Literal["finished", "stopped", "failed"]


class Tried(NamedTuple):
    """A trial that has ended: finished, stopped early since it was below the median, or failed (or never valid)."""

    number: int
    end: End
    scores: list[float]  # of its seeds, as many as were trained
    settings: dict[str, object]  # those that are searched, plain
    reason: str  # why it did not finish

    @property
    def score(self) -> float | None:
        """Mean over seeds."""
        return fmean(self.scores) if self.scores else None


@dataclass
class Candidate:
    """A trial under way."""

    trial: "optuna.trial.Trial"
    settings: dict[str, object]
    folder: str  # of its runs
    scores: list[float] = field(default_factory=list)


class Search:
    """TPE (Bergstra et al. 2011) over a space, and the median rule for stopping early.

    Each trial draws from a generator seeded with its number. Raises ConfigError if the file holds another search, or
    if Optuna is not installed.
    """

    def __init__(
        self, directory: Path, space: Space, about: Mapping[str, object], usual: Mapping[str, object] | None = None
    ) -> None:
        """about: all that the scores depend on; a search goes on only where it is the same. usual: the defaults, which
        stand for settings that are newer than the search."""
        if find_spec("optuna") is None:
            raise ConfigError("the search needs Optuna: pip install 'actor-critic[tune]'")
        self._space = space
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = lock(directory)
        try:
            self._study = _load(directory / "study.log", _described(space, about), _described({}, usual or {}))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets another process have it."""
        self._lock.close()

    def ended(self) -> list[Tried]:
        """In order of their numbers."""
        return [_tried(trial) for trial in self._trials("COMPLETE", "PRUNED")]

    def best(self) -> Tried | None:
        finished = [trial for trial in self.ended() if trial.end == "finished"]
        return max(finished, key=lambda trial: fmean(trial.scores), default=None)

    def queue(self, parameters: Parameters) -> None:
        """A trial to come first; what is left out is drawn. Once proposed, it is not again."""
        self._study.enqueue_trial(dict(parameters), skip_if_exists=True)

    def take_up(self) -> None:
        """Trials that were under way when the search was left come first."""
        for trial in self._trials("RUNNING"):
            self._again(trial, trial.user_attrs.get("lost", 0))

    def put_back(self, candidate: Candidate) -> Tried | None:
        """A trial whose process was killed comes first, and has failed if that happened before."""
        lost = candidate.trial.user_attrs.get("lost", 0) + 1
        if lost == _ATTEMPTS:
            return self.give_up(candidate, "the process that trained it, or another beside it, was killed, twice")
        self._again(candidate.trial, lost)
        return None

    def _again(self, trial: "optuna.trial.Trial | optuna.trial.FrozenTrial", lost: int) -> None:
        import optuna

        self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        self._study.enqueue_trial(trial.params, user_attrs={"lost": lost, "folder": _folder(trial)})

    def ask(self) -> Candidate:
        self._study.sampler = _sampler(len(self._study.get_trials(deepcopy=False)))
        trial = self._study.ask()
        settings = draw(self._space, trial)
        trial.set_user_attr("settings", {key: plain(value) for key, value in settings.items()})
        return Candidate(trial, settings, _folder(trial))

    def end_as_twin(self, candidate: Candidate) -> Tried | None:
        """Ends the trial as one with the same settings has ended, if there is one."""
        settings = {key: plain(value) for key, value in candidate.settings.items()}
        twin = next((trial for trial in self.ended() if trial.settings == settings), None)
        if twin is None:
            return None
        for score in twin.scores:
            self.take_score(candidate, score)
        return self.finish(candidate) if twin.end == "finished" else self.give_up(candidate, twin.reason)

    def take_score(self, candidate: Candidate, score: float) -> bool:
        """Of the next seed. Returns whether the trial is worth another: its mean is not below the median."""
        candidate.scores.append(score)
        candidate.trial.set_user_attr("scores", candidate.scores)
        candidate.trial.report(fmean(candidate.scores), len(candidate.scores))
        return not candidate.trial.should_prune()

    def finish(self, candidate: Candidate) -> Tried:
        return _tried(self._study.tell(candidate.trial, fmean(candidate.scores)))

    def give_up(self, candidate: Candidate, reason: str = "") -> Tried:
        """reason: why it failed; none if it was stopped early."""
        import optuna

        candidate.trial.set_user_attr("reason", reason)
        return _tried(self._study.tell(candidate.trial, state=optuna.trial.TrialState.PRUNED))

    def importances(self) -> dict[str, float]:
        """Share of the scores' variance by setting, largest first: PED-ANOVA (Watanabe et al. 2023)."""
        import optuna

        scores = {trial.value for trial in self._trials("COMPLETE")}
        if len(scores) < _STARTUP:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of settings that were drawn in one way only
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return optuna.importance.get_param_importances(self._study, evaluator=evaluator)

    def _trials(self, *states: str) -> "list[optuna.trial.FrozenTrial]":
        import optuna

        return self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState[name] for name in states])


def _load(file: Path, about: Mapping[str, object], usual: Mapping[str, object]) -> "optuna.Study":
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)  # Optuna's own, left by a process that was killed
    try:
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(file))),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, LookupError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); delete it to begin anew") from None
    before = study.user_attrs.get("about")
    if before is None:
        study.set_user_attr("about", dict(about))
        return study
    before = {key: usual[key] for key in about if key in usual} | before
    if before != about:
        key = next(
            key for key in {**about, **before} if (key in about, about.get(key)) != (key in before, before.get(key))
        )
        was, now = _said(key, before), _said(key, about)
        raise ConfigError(
            f"{file.parent} holds another search: its {key} is {was}, now {now}; give this one another --name"
        )
    return study


def _said(key: str, about: Mapping[str, object]) -> str:
    return text_of(about[key]) if key in about else "not there"


def _sampler(seed: int) -> "optuna.samplers.TPESampler":
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _described(space: Space, about: Mapping[str, object]) -> dict[str, object]:
    """As JSON gives it back."""
    about = {key: plain(value) for key, value in about.items()}
    forms = {f"space: {key}": str(form) for key, form in space.items()}
    return cast("dict[str, object]", json.loads(json.dumps({**about, **forms})))


def _folder(trial: "optuna.trial.Trial | optuna.trial.FrozenTrial") -> str:
    return str(trial.user_attrs.get("folder", f"trial-{trial.number}"))


def _tried(trial: "optuna.trial.FrozenTrial") -> Tried:
    attributes = trial.user_attrs
    reason = str(attributes.get("reason", ""))
    end: End = "finished" if trial.state.name == "COMPLETE" else "failed" if reason else "stopped"
    return Tried(trial.number, end, attributes.get("scores", []), attributes.get("settings", {}), reason)
