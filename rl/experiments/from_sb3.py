"""`python -m rl.experiments.from_sb3`: compares the scripts of docs/from-sb3/ for Stable-Baselines3 and for ours.

Runs both versions of every script and writes results/from-sb3.md: how many lines differ, and both scores. Scores are
stored in results/runs/from-sb3.jsonl and reused until their script changes. Needs a checkout, which has the scripts.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from agents.machine import machine
from agents.settings.values import ConfigError
from agents.writing import write_text
from rl.experiments.pages import Page, counted, paragraph, spelled, table
from rl.experiments.statistics import METHOD, Interval, Scores, bootstrap
from rl.run.terminal import DONE, Parser, run

FOLDER = Path("docs/from-sb3")
_BEFORE = "_sb3"


class Main(Protocol):
    """The interface of every script: trains with this seed, and returns the mean return of some episodes."""

    def __call__(self, seed: int = 0, *, steps: int = ..., episodes: int = ...) -> float: ...


class Pair(NamedTuple):
    """A script before and after porting."""

    before: Path
    after: Path

    @property
    def name(self) -> str:
        return self.after.stem

    @property
    def lines(self) -> tuple[int, int]:
        """Lines of the script before porting, and how many lines differ or were added."""
        before, after = (path.read_text(encoding="utf-8").splitlines() for path in self)
        blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        return len(before), sum(max(b - a, d - c) for kind, a, b, c, d in blocks if kind != "equal")


def pairs(folder: Path = FOLDER) -> list[Pair]:
    """The scripts in the folder. Raises ConfigError if there are none."""
    befores = sorted(folder.glob(f"*{_BEFORE}.py"))
    if not befores:
        raise ConfigError(f"{folder} has no scripts: run this command in a checkout")
    return [Pair(path, path.with_name(path.name.replace(_BEFORE, ""))) for path in befores]


def main_of(path: Path) -> Main:
    """The function `main` of a script."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Main, module.main)


def score_all(found: Sequence[Pair], seeds: Sequence[int], file: Path) -> dict[Path, list[float]]:
    """Script → its score for every seed. Runs the script for scores that are not in the file, and adds them."""
    known = dict[str, float]()
    if file.is_file():
        known = {row["key"]: row["score"] for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
    file.parent.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for path in (path for pair in found for path in pair):
            key = _key(path, seed)
            if key not in known:
                known[key] = main_of(path)(seed)
                print(f"{path.stem}, seed {seed}: {known[key]:.2f}", flush=True)
                write_text(file, "".join(json.dumps({"key": k, "score": x}) + "\n" for k, x in known.items()))
    return {path: [known[_key(path, seed)] for seed in seeds] for pair in found for path in pair}


def _key(path: Path, seed: int) -> str:
    return f"{path.stem} {seed} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def difference(after: Sequence[float], before: Sequence[float]) -> Interval:
    """Mean after − mean before, with its 95 % interval."""

    def of_means(tasks: Sequence[Scores]) -> Scores:
        return cast(Scores, tasks[0].mean(-1) - tasks[1].mean(-1))

    return bootstrap([after, before], of_means)


def page(found: Sequence[Pair], scores: dict[Path, list[float]], seeds: Sequence[int], command: str) -> Page:
    rows, numbers = [], dict[str, object]()
    for pair in found:
        total, differing = pair.lines
        before, after = scores[pair.before], scores[pair.after]
        interval = difference(after, before)
        means = [sum(each) / len(each) for each in (before, after)]
        link = f"[{pair.name}](../{FOLDER}/{pair.after.name})"
        rows.append([link, f"{differing} of {total}", *(f"{x:.2f}" for x in means), f"{interval:.2f}"])
        numbers[pair.name] = {"lines": total, "differing": differing, "before": before, "after": after}
    apart = [pair.name for pair in found if _excludes_zero(pair, scores)]
    verdict = f"The interval excludes 0 for {', '.join(apart)}." if apart else "Every interval contains 0."
    verdict = verdict if len(seeds) > 1 else "One seed has no interval."
    parts = [
        paragraph(f"""Do scripts that were ported from Stable-Baselines3 score the same? Each script for
        Stable-Baselines3's A2C (NAME_sb3.py) and its port to this package (NAME.py) trained from
        {counted(len(seeds), "seed")}, {spelled(seeds)}. Scores are the mean return of 5 episodes after training.
        Difference: ours − theirs, with its 95 % {METHOD} interval over seeds. {verdict} So few seeds and steps can
        reveal gross errors but not show equality: for that, see [equivalence.md](equivalence.md) and
        [lockstep.md](lockstep.md)."""),
        table(["script", "lines that differ", "Stable-Baselines3", "this package", "difference"], rows),
    ]
    return Page("From Stable-Baselines3", command, machine(), parts, {"seeds": list(seeds), "scripts": numbers})


def _excludes_zero(pair: Pair, scores: dict[Path, list[float]]) -> bool:
    apart = difference(scores[pair.after], scores[pair.before])
    return apart.low > 0 or apart.high < 0


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.experiments.from_sb3", description="Run docs/from-sb3/ on both sides.")
    parser.add_seeds("10000-10009", "0-9, or 0,3,7 (default 10000-10009)")
    parser.add_out("the file of scores")
    parser.add_results("from-sb3.md")
    args = parser.parse_args(argv)
    found = pairs()
    scores = score_all(found, args.seeds, args.out / "from-sb3.jsonl")
    content = page(found, scores, args.seeds, parser.command(argv))
    content.write(args.results / "from-sb3")
    print(content)
    return DONE


if __name__ == "__main__":
    run(main)
