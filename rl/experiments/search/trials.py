"""The trials of a search: each trains the tuning seeds one after another, several trials side by side."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import NamedTuple

from agents import A2C
from agents.settings.a2c import A2CSettings
from agents.settings.recipes import shipped_file
from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError, text_of
from rl.experiments.parallel import Line, RunInterrupted, Train, WorkerLost, prepare, training
from rl.experiments.search.space import Space
from rl.experiments.search.study import Candidate, Search, Tried
from rl.run.results import Result
from rl.run.terminal import RunFailed

KINDS = (A2C, RunSettings)  # whose settings are searched or fixed


class Plan(NamedTuple):
    """What all trials of a search have in common."""

    env_id: str
    seeds: Sequence[int]
    total_timesteps: str
    fixed: Sequence[str]  # key=value
    space: Space

    def line(self, label: str, settings: Mapping[str, object]) -> Line:
        """The run of a trial: its settings over the fixed ones and the defaults, never over the recipe."""
        own = [*self.fixed, *(f"{key}={text_of(value)}" for key, value in settings.items())]
        defaults = shipped_file("sb3-defaults.yaml")
        return prepare(label, "a2c", self.env_id, KINDS, defaults, own, self.total_timesteps)

    def about(self) -> dict[str, object]:
        """What scores depend on, beside the space."""
        settings = self.line("base", {}).settings
        common = {key: value for key, value in settings.items() if key not in self.space}
        return {"env": self.env_id, "seeds": list(self.seeds), **common}


class Trials:
    """Trains what the search proposes. say: is told of every trial that has ended."""

    def __init__(self, plan: Plan, search: Search, directory: Path, say: Callable[[Tried], None]) -> None:
        self._plan, self._search, self._directory, self._say = plan, search, directory, say
        self._under_way: dict[Future[Result], Candidate] = {}

    def train(self, total: int, jobs: int) -> None:
        """Until so many trials have ended. Raises KeyboardInterrupt after Ctrl-C, when the runs under way are saved."""
        self._search.take_up()
        try:
            with training(jobs) as train:
                self._train(train, total, jobs)
        except RunInterrupted:
            raise KeyboardInterrupt from None

    def _train(self, train: Train, total: int, jobs: int) -> None:
        while self._under_way or len(self._search.ended()) < total:
            while len(self._under_way) < jobs and len(self._search.ended()) + len(self._under_way) < total:
                candidate = self._search.ask()
                if not self._settle(candidate):
                    self._submit(train, candidate)
            wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in [future for future in self._under_way if future.done()]:  # in the order of their beginning
                candidate = self._under_way[future]
                another = self._take(candidate, future)
                del self._under_way[future]  # not before its score is taken
                if another:
                    self._submit(train, candidate)

    def _settle(self, candidate: Candidate) -> bool:
        """Ends a trial that need not be trained: its settings were tried before, or exclude each other."""
        twin = self._search.end_as_twin(candidate)
        if twin is not None:
            self._say(twin)
            return True
        complete = {**self._plan.about(), **candidate.settings}
        of_agent = {key: value for key, value in complete.items() if key in setting_types(A2CSettings)}
        try:
            A2CSettings(self._plan.env_id, **of_agent)  # type: ignore[arg-type]
        except ConfigError as error:
            self._say(self._search.give_up(candidate, str(error)))
            return True
        return False

    def _submit(self, train: Train, candidate: Candidate) -> None:
        line = self._plan.line(f"trial {candidate.trial.number}", candidate.settings)
        seed = self._plan.seeds[len(candidate.scores)]
        self._under_way[train(self._plan.env_id, line, seed, self._directory / candidate.folder)] = candidate

    def _take(self, candidate: Candidate, future: "Future[Result]") -> bool:
        """The score of a run. Returns whether the trial goes on with another; if not, its runs are deleted."""
        try:
            score = future.result().summary["eval_mean"]
        except RunInterrupted:
            raise
        except WorkerLost:
            lost = self._search.put_back(candidate)
            if lost is not None:
                self._say(lost)
            return False
        except RunFailed as failure:
            what, _, _ = str(failure).partition(" (step ")  # what follows is about its run directory
            end = self._search.give_up(candidate, what)
        else:
            worth_another = self._search.take_score(candidate, score)
            if len(candidate.scores) == len(self._plan.seeds):
                end = self._search.finish(candidate)
            elif worth_another:
                return True
            else:
                end = self._search.give_up(candidate)
        shutil.rmtree(self._directory / candidate.folder, ignore_errors=True)
        self._say(end)
        return False
