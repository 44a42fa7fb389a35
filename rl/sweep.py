"""`python -m rl.sweep ENV`: searches hyper-parameters with seeds of their own; the best make a recipe.

Every trial trains the tuning seeds one after another, and ends early where it is below the median of the trials before
it. The search lives in OUT/ENV/sweep-NAME/; the same command goes on with it, and with more `--trials` takes it
further. Table and numbers go to RESULTS/ENV/NAME.md and .json.
"""

import shlex
import shutil
from argparse import Namespace
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import cast

from agents import A2C
from agents.settings import A2CSettings
from envs import make
from rl import config
from rl.command import DONE, INTERRUPTED, Parser, RunFailed, run
from rl.config import RunSettings
from rl.launch import Line, RunInterrupted, Train, WorkerLost, budget, parse_seeds, prepare, training
from rl.ranking import Findings, numbers, ranking, recipe
from rl.record import Result, lock, machine, write_json
from rl.search import Space, propose, read_space
from rl.study import Candidate, Search, Tried
from rl.typed import ConfigError, plain, text_of

_KINDS = (A2C, RunSettings)


def _parser() -> Parser:
    parser = Parser(prog="rl.sweep", description="Search hyper-parameters; tabulate the best; write a recipe.")
    parser.add_argument("env", metavar="ENV")
    parser.add_argument("--trials", default="50", metavar="N", help="of the search in all (default 50)")
    parser.add_argument("--seeds", default="100-101", metavar="A-B", help="to tune with (default 100-101)")
    parser.add_argument("--total-timesteps", metavar="N", help="of every run (default: the recipe's)")
    parser.add_argument("--jobs", default="2", metavar="J", help="trials side by side, one thread each (default 2)")
    parser.add_argument("--space", type=Path, metavar="FILE", help="YAML (default: configs/search/default.yaml)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every trial, not searched then"
    )
    parser.add_argument(
        "--try", action="append", default=[], nargs="+", metavar="KEY=VALUE", dest="proposals",
        help="a trial to come first; others of its settings are the defaults; repeatable",
    )  # fmt: skip
    parser.add_argument("--name", default="search", help="of the search and the files written (default search)")
    parser.add_argument("--out", type=Path, default=Path("results/runs"), metavar="DIR", help="parent of the search")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="parent of ENV's results")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=Path(), metavar="FILE",
        help="write the best trial as a recipe (FILE is configs/ENV.yaml by default)",
    )  # fmt: skip
    return parser


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if "/" in args.name:
        raise ConfigError(f"--name is the name of files, not a path, got {args.name!r}")
    trials, jobs = (_positive(args, name) for name in ("trials", "jobs"))
    sweep = Sweep(args)
    command = shlex.join(["python", "-m", "rl.sweep", *argv])
    with lock(sweep.directory):
        sweep.queue(args.proposals)
        try:
            sweep.train(trials, jobs)
        except KeyboardInterrupt:
            print(f"interrupted after {len(sweep.search.ended())} of {trials} trials; go on with: {command}")
            return INTERRUPTED
        _conclude(sweep, args, command)
    return DONE


class Sweep:
    """A search, and the runs that its trials train."""

    def __init__(self, args: Namespace) -> None:
        self.env_id: str = args.env
        self.seeds = parse_seeds(args.seeds)
        self.total_timesteps = args.total_timesteps or budget(args.env, _KINDS)
        given = [config.assignment(text)[0] for text in args.set]
        for key, flag in (("seed", "--seeds"), ("total_timesteps", "--total-timesteps")):
            if key in given:
                raise ConfigError(f"--set {key}: the search takes it from {flag}")
        self._own = ["eval_episodes=20", f"checkpoint_interval={self.total_timesteps}", *args.set]
        self.base = self._line("base", {})
        space = read_space(args.space or _default_space(), config.schema(*_KINDS))
        self.space: Space = {key: form for key, form in space.items() if key not in given}
        about = {key: value for key, value in self.base.settings.items() if key not in self.space}
        _check_environment(args.env, self.base)
        self.directory: Path = args.out / config.directory_name(args.env) / f"sweep-{args.name}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.search = Search(self.directory / "study.log", self.space, {"env": args.env, "seeds": self.seeds, **about})

    def queue(self, proposals: list[list[str]]) -> None:
        """The trials of `--try`."""
        known, usual = config.schema(*_KINDS), config.defaults(*_KINDS)
        for proposal in proposals:
            wanted = config.merge(known, [("--try", dict(config.assignment(text, "--try") for text in proposal))])
            try:
                self.search.queue(propose(self.space, wanted, usual))
            except ConfigError as error:
                raise ConfigError(f"--try: {error}") from None

    def train(self, trials: int, jobs: int) -> None:
        """Until so many trials have ended. Raises KeyboardInterrupt after Ctrl-C, when the runs under way are saved."""
        self.search.take_up()
        while len(self.search.ended()) < trials:
            under_way: dict[Future[Result], Candidate] = {}
            try:
                with training(jobs) as train:
                    self._train(train, under_way, trials, jobs)
            except WorkerLost:  # new processes try again
                for candidate in under_way.values():
                    self._say(self.search.put_back(candidate))
            except RunInterrupted:
                raise KeyboardInterrupt from None

    def _train(self, train: Train, under_way: dict[Future[Result], Candidate], trials: int, jobs: int) -> None:
        ended = len(self.search.ended())
        while under_way or ended < trials:
            while len(under_way) < jobs and ended + len(under_way) < trials:
                candidate = self.search.ask()
                if self._settle(candidate):
                    ended += 1
                else:
                    under_way[self._submit(train, candidate)] = candidate
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                candidate, over = under_way[future], self._take(under_way[future], future)
                del under_way[future]
                if over:
                    ended += 1
                else:
                    under_way[self._submit(train, candidate)] = candidate

    def _settle(self, candidate: Candidate) -> bool:
        """Ends a trial that need not be trained: its settings exclude each other, or were tried before."""
        twin = self.search.twin(candidate)
        if twin is not None:
            for score in twin.scores:
                self.search.take_score(candidate, score)
            if twin.end == "finished":
                self._say(self.search.finish(candidate))
            else:
                self._say(self.search.give_up(candidate, twin.reason))
            return True
        of_agent = {key: value for key, value in self._complete(candidate).items() if key in config.schema(A2CSettings)}
        try:
            A2CSettings(self.env_id, **of_agent)  # type: ignore[arg-type]
        except ConfigError as error:
            self._say(self.search.give_up(candidate, str(error)))
            return True
        return False

    def _take(self, candidate: Candidate, future: Future[Result]) -> bool:
        """The score of a run. Returns whether the trial has ended; its runs are deleted then."""
        try:
            score = future.result().summary["eval_mean"]
        except (WorkerLost, RunInterrupted):
            raise
        except RunFailed as failure:
            end = self.search.give_up(candidate, str(failure))
        else:
            worth_another = self.search.take_score(candidate, score)
            if len(candidate.scores) == len(self.seeds):
                end = self.search.finish(candidate)
            elif worth_another:
                return False
            else:
                end = self.search.give_up(candidate)
        shutil.rmtree(self.directory / candidate.folder, ignore_errors=True)
        self._say(end)
        return True

    def _submit(self, train: Train, candidate: Candidate) -> Future[Result]:
        line = self._line(f"trial {candidate.trial.number}", candidate.settings)
        seed = self.seeds[len(candidate.scores)]
        return train(self.env_id, line, seed, self.directory / candidate.folder)

    def _line(self, label: str, settings: Mapping[str, object]) -> Line:
        own = [*self._own, *(f"{key}={text_of(value)}" for key, value in settings.items())]
        file = config.shipped("sb3-defaults.yaml")
        return prepare(label, "a2c", self.env_id, _KINDS, file, own, self.total_timesteps)

    def _complete(self, candidate: Candidate) -> dict[str, object]:
        return {**self.base.settings, **candidate.settings}

    def _say(self, tried: Tried | None) -> None:
        """A line on a trial that has ended."""
        if tried is None:
            return
        best = self.search.best()
        leader = f"best {best.score:.4g} (trial {best.number})" if best else "none finished"
        scores = " ".join(f"{score:.4g}" for score in tried.scores) or "–"
        end = tried.end + (f" ({tried.reason})" if tried.reason else "")
        usual = config.defaults(*_KINDS)
        changed = [f"{key}={text_of(x)}" for key, x in tried.settings.items() if x != plain(usual[key])]
        print(f"trial {tried.number:3}  {end}  {scores}  {leader}  {' '.join(changed)}", flush=True)


def _default_space() -> Path:
    path = config.shipped("search/default.yaml")
    if path is None:
        raise ConfigError("configs/search/default.yaml is missing; name a space by --space FILE")
    return path


def _positive(args: Namespace, name: str) -> int:
    number = config.merge({f"--{name}": int}, [("command line", {f"--{name}": getattr(args, name)})])[f"--{name}"]
    if cast(int, number) < 1:
        raise ConfigError(f"--{name} must be at least 1, got {number}")
    return cast(int, number)


def _check_environment(env_id: str, base: Line) -> None:
    """Builds it once, so that what no trial can be blamed for ends the command before any starts."""
    limit, kwargs = (base.settings[key] for key in ("max_episode_steps", "env_kwargs"))
    make(env_id, 1, max_episode_steps=limit, env_kwargs=kwargs).close()  # type: ignore[arg-type]


def _conclude(sweep: Sweep, args: Namespace, command: str) -> None:
    """Table, numbers and recipe."""
    trials, usual = sweep.search.ended(), config.defaults(*_KINDS)
    best = sweep.search.best()
    if best is None:
        last = next((trial.reason for trial in reversed(trials) if trial.reason), "all were stopped early")
        raise RunFailed(f"none of {len(trials)} trials finished; the last: {last}")
    findings = Findings(
        args.env, command, machine(), sweep.seeds, sweep.base.settings, sweep.space, usual, trials,
        sweep.search.importances(),
    )  # fmt: skip
    directory = args.results / config.directory_name(args.env)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / f"{args.name}.json", numbers(findings))
    table = ranking(findings)
    config.write_text(directory / f"{args.name}.md", table)
    print(f"\n{table}\nwritten to {directory}")
    if args.write is not None:
        file = Path("configs", f"{config.directory_name(args.env)}.yaml") if args.write == Path() else args.write
        file.parent.mkdir(parents=True, exist_ok=True)
        config.write_yaml(file, recipe(findings), f"Found by `{command}`")
        print(f"the best trial is {file}")


if __name__ == "__main__":
    run(main)
