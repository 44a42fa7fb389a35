"""`python -m tests.stress`: attacks the package at length and counts what broke; the same command resumes.

Outcomes are stored by commit in results/runs/stress/; the log there has the traceback of every broken promise. The
page of counts is written to results/reliability.md once every attack has been made.
"""

import logging
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from threading import Lock
from typing import cast

from agents.machine import machine
from rl.experiments.pages import Page, paragraph, table
from rl.run.files import JsonLines
from rl.run.terminal import DONE, FAILED, Parser, run
from tests import ROOT
from tests.stress.attacks import Outcome, made
from tests.stress.kinds import KINDS, Kind
from tests.stress.worker import BROKEN

_log = logging.getLogger("stress")
Outcomes = dict[str, dict[int, Outcome]]  # kind → number → outcome


def main(argv: list[str]) -> int:
    parser = Parser(prog="tests.stress", description="Attack the package at length; tabulate what became of it.")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="(default: all)")
    parser.add_jobs("batches of attacks")
    args = parser.parse_args(argv)
    commit = _git("rev-parse", "--short=12", "HEAD") + ("-edited" if _git("status", "--porcelain") else "")
    folder = ROOT / "results" / "runs" / "stress"
    with closing(JsonLines(folder / f"{commit}.jsonl")) as kept:
        logging.basicConfig(filename=folder / f"{commit}.log", level=logging.INFO, format="%(asctime)s %(message)s")
        found = _read(kept)
        _attack(args.kinds, found, kept, args.jobs)
    for name, outcomes in found.items():
        print(f"{name}: {len(outcomes)} of {KINDS[name].long}, {_broken(outcomes)} broken")
    if any(len(found[name]) < kind.long for name, kind in KINDS.items()):
        print(f"no page before all are made; outcomes in {folder}")
    else:
        page(found, parser.command(argv), commit).write(ROOT / "results" / "reliability")
        print("written to results/reliability.md")
    return FAILED if any(map(_broken, found.values())) else DONE


def _git(*argv: str) -> str:
    return subprocess.run(["git", *argv], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _read(kept: JsonLines) -> Outcomes:
    found: Outcomes = {name: {} for name in KINDS}
    for name, *rest in cast("list[tuple[str, int, str, str]]", kept.values):
        outcome = Outcome(*rest)
        found[name][outcome.number] = outcome
    return found


def _attack(names: list[str], found: Outcomes, kept: JsonLines, jobs: int) -> None:
    """Makes the remaining attacks of these kinds, several batches in parallel."""
    batches = [(name, batch) for name in names for batch in _batches(KINDS[name], found[name])]
    keeping = Lock()

    def make(name: str, batch: list[int]) -> None:
        for outcome in made(name, batch):
            with keeping:
                _keep(name, outcome, found, kept)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in as_completed([pool.submit(make, *each) for each in batches]):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _batches(kind: Kind, outcomes: dict[int, Outcome]) -> Iterator[list[int]]:
    missing = [number for number in range(kind.long) if number not in outcomes]
    for begin in range(0, len(missing), kind.batch):
        yield missing[begin : begin + kind.batch]


def _keep(name: str, outcome: Outcome, found: Outcomes, kept: JsonLines) -> None:
    kept.append([name, *outcome])
    found[name][outcome.number] = outcome
    _log.info("%s %d: %s\n%s" if outcome.broken else "%s %d: %s%s", name, *outcome)


def _broken(outcomes: dict[int, Outcome]) -> int:
    return sum(outcome.broken for outcome in outcomes.values())


def page(found: Outcomes, command: str, commit: str) -> Page:
    """Counts by kind, and the outcomes of the attacks."""
    rows = []
    for name, kind in KINDS.items():
        counts = Counter(outcome.outcome for outcome in found[name].values() if not outcome.broken)
        words = "; ".join(f"{text} {count * kind.each:,}" for text, count in sorted(counts.items()))
        rows.append([name, words or "–", f"{kind.long * kind.each:,}", f"{_broken(found[name]):,}"])
    explained = f"""
        Attacks on commit {commit}, each with a number that makes it repeatable. What each kind tries, what is promised
        and what is not: [docs/reliability.md](../docs/reliability.md). Broken: a traceback of this package, a result
        that was lost or differs from that of an undisturbed run, a message of more than one line, a process that hung
        or crashed."""
    numbers = {name: {"attacks": kind.long * kind.each, BROKEN: _broken(found[name])} for name, kind in KINDS.items()}
    heads = ["attack", "what came of it", "number", "broken"]
    return Page("Reliability", command, machine(), [paragraph(explained), table(heads, rows, words=2)], numbers)


if __name__ == "__main__":
    run(main)
