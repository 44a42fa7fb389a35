"""`python -m rl.sweep ENV`: searches hyper-parameters on tuning seeds and can write the best trial as a recipe.

A trial trains the tuning seeds one after another, and stops early if its mean is below the median of the earlier
trials. With `--pruner halving`, it trains all seeds in stages instead, and stops early if it is not in the best third.
The search is stored in OUT/ENV/sweep-NAME/; the same command resumes it, and a larger `--trials` extends it.
The page and its numbers are RESULTS/ENV/NAME.md and .json.
"""

import os
from argparse import Namespace
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from gymnasium import spaces

from agents.machine import machine
from agents.settings.by_agent import SETTINGS
from agents.settings.files import directory_name, read_yaml, write_yaml
from agents.settings.recipes import shipped_file
from agents.settings.run import SECTIONS, RunSettings, parse_assignment, with_recipe
from agents.settings.schema import merge_layers, setting_defaults, setting_types
from agents.settings.values import ConfigError, plain, text_of
from envs import evaluation_backend, make
from envs.names import full_id
from rl.experiments.executors.workplace import add_workplace, workplace
from rl.experiments.pages import check_name
from rl.experiments.parallel import budget
from rl.experiments.search.figure import draw
from rl.experiments.search.findings import Findings, page, recipe
from rl.experiments.search.space import Parameters, propose, read_space
from rl.experiments.search.stopping import PRUNERS
from rl.experiments.search.study import SAMPLERS, Search, Tried
from rl.experiments.search.trials import Plan, Trials
from rl.run.signals import status_of
from rl.run.terminal import DONE, Parser, RunFailed, at_least, file_name, run


def main(argv: list[str]) -> int:
    parser = _parser()
    args, command = parser.parse_args(argv), parser.command(argv)
    check_name(_page_path(args), parser.prog)
    plan, file = _plan(args), _recipe_path(args)
    defaults = setting_defaults(*plan.kinds)
    proposals = [_proposal(plan, texts) for texts in args.proposals]
    directory = args.out / directory_name(args.env) / f"sweep-{args.name}"
    usual = {"agent": "a2c", **defaults}
    with closing(Search(directory, plan.space, plan.about(), usual, plan.stopping, args.sampler)) as search:
        for proposal in proposals:
            search.queue(proposal)
        where = workplace(args)
        try:
            Trials(plan, search, directory, lambda tried: _say(search, tried, defaults)).train(args.trials, where)
        except KeyboardInterrupt as stopped:
            print(f"interrupted after {len(search.ended())} of {args.trials} trials; resume with: {command}")
            return status_of(stopped)
        base = plan.line("base", {}).settings
        found = Findings(
            args.env,
            command,
            machine(),
            plan.stopping,
            base,
            plan.space,
            defaults,
            search.ended(),
            search.importances(),
        )
    _write(found, args, file)
    return DONE


def _parser() -> Parser:
    parser = Parser(prog="rl.sweep", description="Search hyper-parameters; tabulate the best; write a recipe.")
    parser.add_argument("env", type=full_id, metavar="ENV")
    parser.add_argument("--agent", choices=SETTINGS, default="a2c", help="agent to tune (default a2c)")
    parser.add_argument("--trials", type=at_least(1), default=50, metavar="N", help="trials in all (default 50)")
    parser.add_seeds("100-101", "to tune with (default 100-101)")
    parser.add_argument("--total-timesteps", metavar="N", help="steps of every run (default: the recipe's)")
    add_workplace(parser, "trials")
    parser.add_argument(
        "--pruner", choices=PRUNERS, default="median",
        help="stop trials early: median, below the median after a seed; halving, not among the best third after a "
        "ninth or a third of the steps; none (default median)",
    )  # fmt: skip
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe", help="what proposes settings (default tpe)")
    parser.add_argument("--space", type=Path, metavar="FILE", help="YAML (default: configs/search/AGENT.yaml)")
    parser.add_set("a setting of every trial, not searched then")
    parser.add_argument(
        "--try", action="append", default=[], nargs="+", metavar="KEY=VALUE", dest="proposals",
        help="settings of a trial to run first, on top of the defaults; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=file_name, default="search", help="name of the search and the files written (default search)"
    )
    parser.add_out("the search")
    parser.add_results("ENV's results")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=Path(), metavar="FILE",
        help="write the best trial as the agent's recipe (FILE is configs/ENV.yaml by default)",
    )  # fmt: skip
    return parser


def _plan(args: Namespace) -> Plan:
    """Raises ConfigError, or what `envs.make` raises, for mistakes that every trial would repeat."""
    given = [parse_assignment(text)[0] for text in args.set]
    for key, flag in (("seed", "--seeds"), ("total_timesteps", "--total-timesteps"), ("pause_at", "--pruner")):
        if key in given:
            raise ConfigError(f"--set {key}: a search takes it from {flag}")
    kinds = (SETTINGS[args.agent], RunSettings)
    space = read_space(args.space or _shipped_space(args.agent), setting_types(*kinds))
    space = {key: form for key, form in space.items() if key not in given}
    steps = args.total_timesteps or budget(args.env, kinds, args.agent)
    fixed = ["eval_episodes=20", f"checkpoint_interval={steps}", *args.set]
    plan = Plan(args.env, args.agent, args.seeds, steps, fixed, space, args.pruner)
    base = plan.line("base", {})
    worlds = make(args.env, 1, variant=base.variant, backend=evaluation_backend(base.backend))
    worlds.close()
    if "log_std_init" in space and not isinstance(worlds.policy_action_space, spaces.Box):
        print("note: log_std_init belongs to Gaussian policies, and is not searched here")
        space.pop("log_std_init")
    if not space:
        raise ConfigError("--set fixes every setting of the space: nothing is left to search")
    return plan


def _page_path(args: Namespace) -> Path:
    """The path of the page and its figure, without their endings."""
    path: Path = args.results / directory_name(args.env) / args.name
    return path


def _recipe_path(args: Namespace) -> Path | None:
    """Where to write the best trial. Raises ConfigError, before anything is trained, if it cannot be written there."""
    if args.write is None:
        return None
    file: Path = Path("configs", f"{directory_name(args.env)}.yaml") if args.write == Path() else args.write
    folder = next(path for path in file.parents if path.exists())  # folders that do not exist are made
    if not folder.is_dir():
        raise ConfigError(f"--write {file}: {folder} is not a folder")
    if file.is_dir():
        raise ConfigError(f"--write takes the path of a file, and {file} is a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--write {file}: nothing can be written in {folder}")
    if file.exists():
        read_yaml(file)  # its other settings are kept
    return file


def _shipped_space(agent: str) -> Path:
    path = shipped_file(f"search/{agent}.yaml")
    if path is None:
        raise ConfigError(f"configs/search/{agent}.yaml is missing; name a space by --space FILE")
    return path


def _proposal(plan: Plan, texts: list[str]) -> Parameters:
    """The parameters of one `--try`."""
    pairs = dict(parse_assignment(text, "--try") for text in texts)
    wanted = merge_layers(setting_types(*plan.kinds), [("--try", pairs)])
    try:
        return propose(plan.space, wanted, setting_defaults(*plan.kinds))
    except ConfigError as error:
        raise ConfigError(f"--try: {error}") from None


def _say(search: Search, tried: Tried, defaults: Mapping[str, object]) -> None:
    """Prints one line about a finished trial."""
    best = search.best()
    leader = f"best {best.score:.5g} (trial {best.number})" if best else "none finished"
    scores = " ".join(f"{score:.5g}" for score in tried.scores) or "–"
    end = tried.end + (f" ({tried.reason})" if tried.reason else "")
    changed = [f"{key}={text_of(x)}" for key, x in tried.settings.items() if x != plain(defaults[key])]
    print(f"trial {tried.number:3}  {end}  {scores}  {leader}  {' '.join(changed)}", flush=True)


def _write(found: Findings, args: Namespace, file: Path | None) -> None:
    """Writes the page, its numbers and, into the file, the recipe."""
    if not found.best:
        last = next((trial.reason for trial in reversed(found.trials) if trial.reason), "stopped early")
        raise RunFailed(f"none of {len(found.trials)} trials finished; the last: {last}")
    path = _page_path(args)
    page(found, args.name).write(path)
    draw(found, path)
    print(f"\n{page(found, args.name)}\nwritten to {path.parent}")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = read_yaml(file) if file.exists() else {}
        comment = _comment(file, args.agent, f"Found by `{found.command}`")
        write_yaml(file, with_recipe(before, args.agent, recipe(found)), comment)
        print(f"the best trial is {file}")


def _comment(file: Path, agent: str, found: str) -> str:
    """The recipe's first line. If another agent's section is written, the existing comment on A2C is kept."""
    first = file.read_text(encoding="utf-8").partition("\n")[0] if file.exists() else ""
    return f"{first.removeprefix('# ')}; {agent}: {found}" if agent in SECTIONS and first.startswith("# ") else found


if __name__ == "__main__":
    run(main)
