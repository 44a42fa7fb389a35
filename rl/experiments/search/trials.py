"""The trials of a search: each trains its legs in sequence; several trials run in parallel."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import NamedTuple, cast

from agents.settings.by_agent import SETTINGS
from agents.settings.ranges import Steps
from agents.settings.recipes import shipped_file
from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError, converted, text_of
from rl.experiments.executors.base import RunInterrupted, WorkerLost
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import Line, Train, prepare, training
from rl.experiments.search.space import Space
from rl.experiments.search.stopping import Pruner, Stopping
from rl.experiments.search.study import Candidate, Search, Tried
from rl.run.results import Result
from rl.run.terminal import RunFailed


class Plan(NamedTuple):
    """What all trials of a search share."""

    env_id: str
    agent: str
    seeds: Sequence[int]
    total_timesteps: str
    fixed: Sequence[str]  # key=value
    space: Space
    pruner: Pruner = "median"

    @property
    def kinds(self) -> tuple[type, ...]:
        """The dataclasses whose settings are searched or fixed."""
        return (SETTINGS[self.agent], RunSettings)

    @property
    def stopping(self) -> Stopping:
        """Raises ConfigError if total_timesteps is not a number of steps."""
        return Stopping(self.pruner, self.seeds, cast(int, converted("total_timesteps", self.total_timesteps, Steps)))

    def line(self, label: str, settings: Mapping[str, object], pause_at: int | None = None) -> Line:
        """A trial as a line: its settings on top of the fixed ones and the defaults; recipes are not used."""
        own = [*self.fixed, *(f"{key}={text_of(value)}" for key, value in settings.items())]
        own += [] if pause_at is None else [f"pause_at={pause_at}"]
        defaults = shipped_file("sb3-defaults.yaml")
        return prepare(label, self.agent, self.env_id, self.kinds, defaults, own, self.total_timesteps)

    def about(self) -> dict[str, object]:
        """Everything besides the space that scores depend on."""
        settings = self.line("base", {}).settings
        common = {key: value for key, value in settings.items() if key not in self.space}
        return {"env": self.env_id, "agent": self.agent, "seeds": list(self.seeds), **common}


class Trials:
    """Trains the trials that the search proposes. report: called with every trial that ends."""

    def __init__(self, plan: Plan, search: Search, directory: Path, report: Callable[[Tried], None]) -> None:
        self._plan, self._search, self._directory, self._report = plan, search, directory, report
        self._legs = plan.stopping.legs
        self._in_progress: dict[Future[Result], Candidate] = {}

    def train(self, total: int, where: Workplace) -> None:
        """Trains until `total` trials have ended. Raises KeyboardInterrupt after Ctrl-C, once all runs are saved."""
        self._search.retry_interrupted()
        try:
            with training(where) as train:
                self._train(train, total, where.jobs)
        except RunInterrupted:
            raise KeyboardInterrupt from None

    def _train(self, train: Train, total: int, jobs: int) -> None:
        while self._in_progress or len(self._search.ended()) < total:
            while len(self._in_progress) < jobs and len(self._search.ended()) + len(self._in_progress) < total:
                candidate = self._search.ask()
                if not self._end_untrained(candidate):
                    self._submit(train, candidate)
            wait(self._in_progress, return_when=FIRST_COMPLETED)
            for future in [future for future in self._in_progress if future.done()]:  # in order of start
                candidate = self._in_progress[future]
                another = self._take(candidate, future)
                del self._in_progress[future]  # kept until its score is taken
                if another:
                    self._submit(train, candidate)

    def _end_untrained(self, candidate: Candidate) -> bool:
        """Ends a trial without training if its settings were tried before or exclude each other, or if all its scores
        were taken before the search was killed."""
        twin = self._search.end_like_twin(candidate)
        if twin is not None:
            self._report(twin)
            return True
        if len(candidate.scores) == len(self._legs):
            self._end(candidate, self._search.finish(candidate))
            return True
        complete = {**self._plan.about(), **candidate.settings}
        own = SETTINGS[self._plan.agent]
        of_agent = {key: value for key, value in complete.items() if key in setting_types(own)}
        try:
            own(self._plan.env_id, **of_agent)
        except ConfigError as error:
            self._report(self._search.give_up(candidate, str(error)))
            return True
        return False

    def _submit(self, train: Train, candidate: Candidate) -> None:
        seed, pause_at = self._legs[len(candidate.scores)]
        line = self._plan.line(f"trial {candidate.trial.number}", candidate.settings, pause_at)
        self._in_progress[train(self._plan.env_id, line, seed, self._directory / candidate.folder)] = candidate

    def _take(self, candidate: Candidate, future: "Future[Result]") -> bool:
        """Takes a leg's score. Returns whether another leg follows; if not, ends the trial and deletes its runs."""
        try:
            score = future.result().summary["eval_mean"]
        except RunInterrupted:
            raise
        except WorkerLost:
            lost = self._search.retry_lost(candidate)
            if lost is not None:
                self._report(lost)
            return False
        except RunFailed as failure:
            what, _, _ = str(failure).partition(" (step ")  # the rest is about its run directory
            end = self._search.give_up(candidate, what)
        else:
            worth_another = self._search.take_score(candidate, score)
            if len(candidate.scores) == len(self._legs):
                end = self._search.finish(candidate)
            elif worth_another:
                return True
            else:
                end = self._search.give_up(candidate)
        self._end(candidate, end)
        return False

    def _end(self, candidate: Candidate, end: Tried) -> None:
        shutil.rmtree(self._directory / candidate.folder, ignore_errors=True)
        self._report(end)
