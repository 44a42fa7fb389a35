import math
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor, distributions

from agents.machine import torch_threads
from agents.maths.distributions import Categorical
from rl.experiments.information.rivals import Case, cases, shares_of_failures

_REPEATS = 41


class Race(NamedTuple):
    """The same question to this package and to torch, timed side by side."""

    question: str
    ours: Callable[[], object]
    theirs: Callable[[], object]


def accuracy_table() -> str:
    """A row a case; answers that are off by more than 1e-3 of the truth, or NaN, are marked."""
    rows = [
        f"| {case.question} | {case.truth:.10g} | {_answer(case, case.ours)} | {_answer(case, case.torch)} "
        f"| {_answer(case, case.scipy)} |"
        for case in (*cases(), *shares_of_failures())
    ]
    text = [
        "# Accuracy of rl.information",
        "",
        f"Made by `python -m rl.information` with torch {torch.__version__}, SciPy {scipy.__version__}, NumPy "
        f"{np.__version__}. The truth is computed by mpmath",
        "with 50 digits from the numbers as float32 or float64 holds them. ✗ marks an answer that is NaN or off by",
        "more than a thousandth, – a question that the library has no function for.",
        "",
        "| question | truth | rl.information | torch | SciPy |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]
    return "\n".join(text) + "\n"


def _answer(case: Case, answer: float | None) -> str:
    if answer is None:
        return "–"
    right = answer == case.truth or (math.isfinite(answer) and abs(answer - case.truth) <= 1e-3 * abs(case.truth))
    return f"{answer:.7g}{'' if right else ' ✗'}"


def speed_table() -> str:
    """A row a question, shape and type; ratios above 1 mean that torch is faster."""
    rows = []
    with torch_threads(1), torch.no_grad():
        for shape, calls in (((80, 2), 200), ((4096, 16), 20)):
            for dtype in (torch.float32, torch.float64):
                for question, checked, unchecked in _races(shape, dtype):
                    ours, theirs = _time(checked, calls)
                    bare_ours, bare_theirs = _time(unchecked, calls)
                    name = str(dtype).removeprefix("torch.")
                    rows.append(
                        f"| {question} | {list(shape)} | {name} | {ours:.1f} | {theirs:.1f} | **{ours / theirs:.2f}** "
                        f"| {bare_ours:.1f} | {bare_theirs:.1f} | {bare_ours / bare_theirs:.2f} |"
                    )
    text = [
        "# Speed of rl.information",
        "",
        f"Made by `python -m rl.information`: torch {torch.__version__} on one thread, microseconds a call, medians of "
        f"{_REPEATS} interleaved",
        "repeats, without gradients. From raw logits to the answer on both sides: `Categorical(…)`, and then its KL",
        "divergence, entropy or log-probability. Both sides check their arguments, as they do by default; in the last",
        "three columns neither does. Neighbors are logits 1e-3 apart, as after an update of a policy.",
        "",
        "| question | shape | type | ours | torch | ratio | ours, unchecked | torch, unchecked | ratio |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
        *rows,
    ]
    return "\n".join(text) + "\n"


def _races(shape: tuple[int, ...], dtype: torch.dtype) -> list[tuple[str, Race, Race]]:
    """Each question, with and without validation."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(shape, generator=generator, dtype=dtype)
    near = a + 1e-3 * torch.randn(shape, generator=generator, dtype=dtype)
    far = 2 * torch.randn(shape, generator=generator, dtype=dtype)
    action = torch.randint(shape[-1], shape[:-1], generator=generator)

    def theirs(x: Tensor, check: bool) -> distributions.Categorical:
        return distributions.Categorical(logits=x, validate_args=check)

    def race(question: str, check: bool) -> Race:
        answers: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "KL, neighbors": (
                lambda: Categorical(a, check).kl(Categorical(near, check)),
                lambda: distributions.kl_divergence(theirs(a, check), theirs(near, check)),
            ),
            "KL, unrelated": (
                lambda: Categorical(a, check).kl(Categorical(far, check)),
                lambda: distributions.kl_divergence(theirs(a, check), theirs(far, check)),
            ),
            "entropy": (lambda: Categorical(a, check).entropy(), lambda: theirs(a, check).entropy()),
            "ln p of actions": (
                lambda: Categorical(a, check).log_prob(action), lambda: theirs(a, check).log_prob(action)
            ),
        }  # fmt: skip
        return Race(question, *answers[question])

    questions = ("KL, neighbors", "KL, unrelated", "entropy", "ln p of actions")
    return [(question, race(question, True), race(question, False)) for question in questions]


def _time(race: Race, calls: int) -> tuple[float, float]:
    """Median microseconds a call, ours and theirs, from interleaved repeats."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(_REPEATS + 3):
        for function, record in zip((race.ours, race.theirs), times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if repeat >= 3:  # the first ones warm caches up
                record.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times[0]), statistics.median(times[1])
