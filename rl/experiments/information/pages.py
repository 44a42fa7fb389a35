"""The pages of `python -m rl.information`: accuracy and speed."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor, distributions

from agents.machine import torch_threads
from agents.maths.distributions import Categorical
from rl.experiments.information.cases import Case, cases, shares_of_failures
from rl.experiments.pages import Page, paragraph, table

_REPEATS = 41
_LIBRARIES = ("rl.information", "torch", "torch in float64", "SciPy in float64")


class Race(NamedTuple):
    """One question for this package and for torch, timed alternately."""

    question: str
    ours: Callable[[], object]
    theirs: Callable[[], object]


def accuracy_page(command: str, machine: str) -> Page:
    """One row per case; answers with an error above 1e-3 of the true value, or NaN, are marked."""
    found = [*cases(), *shares_of_failures()]
    answers = [(case, (case.ours, case.torch, case.torch64, case.scipy)) for case in found]
    rows = [
        [case.question, f"{case.truth:.10g}", *(_answer(case, answer) for answer in each)] for case, each in answers
    ]
    counts = []
    for i, name in enumerate(_LIBRARIES):
        right = [_right(case, answer) for case, each in answers if (answer := each[i]) is not None]
        counts.append(f"{name} {sum(right)} of {len(right)}")
    explanation = f"""How accurate are divergences, entropies and log-probabilities where the usual formulas lose
        digits? Right answers, to within a thousandth: {"; ".join(counts)}. The cases were chosen because they are hard:
        nearly equal distributions, nearly certain actions, underflowed or masked ones. torch {torch.__version__}, SciPy
        {scipy.__version__}, NumPy {np.__version__}. The truth is computed by mpmath with 50 digits from the numbers as
        float32 or float64 stores them. `rl.information` and torch receive tensors of the type in the question; "torch
        in float64" receives the same numbers cast to float64, as SciPy does always. ✗ marks an answer that is NaN or
        off by more than a thousandth, and – a question for which the library has no function."""
    parts = [paragraph(explanation), table(["question", "truth", *_LIBRARIES], rows)]
    return Page("Accuracy of rl.information", command, machine, parts, {})


def _answer(case: Case, answer: float | None) -> str:
    if answer is None:
        return "–"
    return f"{answer:.7g}{'' if _right(case, answer) else ' ✗'}"


def _right(case: Case, answer: float) -> bool:
    return answer == case.truth or (math.isfinite(answer) and abs(answer - case.truth) <= 1e-3 * abs(case.truth))


def speed_page(command: str, machine: str) -> Page:
    """One row per question, shape and type; a ratio above 1 means that torch is faster."""
    rows = []
    with torch_threads(1), torch.no_grad():
        for shape, calls in (((80, 2), 200), ((4096, 16), 20)):
            for dtype in (torch.float32, torch.float64):
                for question, checked, unchecked in _races(shape, dtype):
                    ours, theirs = _time(checked, calls)
                    bare_ours, bare_theirs = _time(unchecked, calls)
                    cells = [question, str(list(shape)), str(dtype).removeprefix("torch.")]
                    cells += [f"{ours:.1f}", f"{theirs:.1f}", f"**{ours / theirs:.2f}**"]
                    rows.append([*cells, f"{bare_ours:.1f}", f"{bare_theirs:.1f}", f"{bare_ours / bare_theirs:.2f}"])
    explanation = f"""How fast are divergences, entropies and log-probabilities beside torch {torch.__version__}?
        Microseconds per call on one thread, without gradients, medians of {_REPEATS} interleaved repeats. Ratios are
        our time ÷ torch's: above 1, torch is faster. Both sides go from raw logits to the answer: `Categorical(…)`, and
        then its KL divergence, entropy or log-probability. Both check their arguments, as they do by default; in the
        last three columns neither does. "Neighbors" are logits about 1e-3 apart, as after an update of a policy."""
    heads = ["question", "shape", "type", "ours", "torch", "ratio", "ours, unchecked", "torch, unchecked", "ratio"]
    return Page("Speed of rl.information", command, machine, [paragraph(explanation), table(heads, rows, words=3)], {})


def _races(shape: tuple[int, ...], dtype: torch.dtype) -> list[tuple[str, Race, Race]]:
    """Every question, with and without validation."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(shape, generator=generator, dtype=dtype)
    near = a + 1e-3 * torch.randn(shape, generator=generator, dtype=dtype)
    far = 2 * torch.randn(shape, generator=generator, dtype=dtype)
    action = torch.randint(shape[-1], shape[:-1], generator=generator)

    def theirs(x: Tensor, check: bool) -> distributions.Categorical:
        return distributions.Categorical(logits=x, validate_args=check)

    def races(check: bool) -> Iterator[Race]:
        yield Race(
            "KL, neighbors",
            lambda: Categorical(a, check).kl(Categorical(near, check)),
            lambda: distributions.kl_divergence(theirs(a, check), theirs(near, check)),
        )
        yield Race(
            "KL, unrelated",
            lambda: Categorical(a, check).kl(Categorical(far, check)),
            lambda: distributions.kl_divergence(theirs(a, check), theirs(far, check)),
        )
        yield Race("entropy", lambda: Categorical(a, check).entropy(), lambda: theirs(a, check).entropy())
        yield Race(
            "ln p of actions", lambda: Categorical(a, check).log_prob(action), lambda: theirs(a, check).log_prob(action)
        )

    return [(x.question, x, y) for x, y in zip(races(check=True), races(check=False), strict=True)]


def _time(race: Race, calls: int) -> tuple[float, float]:
    """Median microseconds per call, ours and torch's, from interleaved repeats."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(_REPEATS + 3):
        for function, record in zip((race.ours, race.theirs), times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if repeat >= 3:  # earlier repeats warm up caches
                record.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times[0]), statistics.median(times[1])
