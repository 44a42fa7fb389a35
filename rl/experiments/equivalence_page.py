"""The page and the figure of an equivalence test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rl.experiments.equivalence import MARGIN, WIDTH, Estimate, Judgment, Pair, different, estimate
from rl.experiments.pages import Page, image, paragraph, table
from rl.experiments.statistics import as_plain
from rl.run.figure import BLACK, BLUE, ORANGE, canvas, finish, save


def conclusion(test: Judgment) -> str:
    """The outcome of the test in words, and which of its rules hold."""
    together, apart, design, count = test.together, different(test.pairs), test.design, len(test.pairs)
    verdict = "is equivalent to" if together.equivalent else "is not shown to be equivalent to"
    x, p = together.difference, together.p
    text = f"""Over {count} pairs of {len(design.seeds)} seeds a side, our {design.algorithm} {verdict}
        Stable-Baselines3's. The mean difference of normalized scores, {x:+.3f} (90 % interval),
        {_holds(x.low > -MARGIN and x.high < MARGIN)} within ± {MARGIN}, as equivalence requires. The probability that
        ours scores higher, {p:.3f} (95 % interval), must contain ½, which it {_does(p.low <= 0.5 <= p.high)}, and be
        narrower than {WIDTH}, which it {_is(p.high - p.low < WIDTH)}."""
    if apart:
        text += f" Different by themselves: {'; '.join(f'{pair.env}, {pair.steps}' for pair in apart)}."
    else:
        text += f" No pair by itself is different, with Holm's correction over the {count}."
    failing = list(dict.fromkeys(pair.env for pair in test.pairs if max(pair.ours.mean(), pair.theirs.mean()) < 0))
    if failing:
        text += f""" In {" and ".join(failing)}, both sides score below random actions: those pairs compare agents that
            have not learned."""
    return " ".join(text.split())


def _holds(true: bool) -> str:
    return "lies" if true else "does not lie"


def _does(true: bool) -> str:
    return "does" if true else "does not"


def _is(true: bool) -> str:
    return "is" if true else "is not"


def page(test: Judgment, command: str) -> Page:
    design, apart = test.design, different(test.pairs)
    heads = ["environment", "steps per update", "ours", "SB3", "difference [90 %]", "P(ours higher) [95 %]", "verdict"]
    rows = [[*_cells(pair), _verdict(pair, apart)] for pair in test.pairs]
    both = test.together
    verdict = "**equivalent**" if both.equivalent else "**not shown to be equivalent**"
    rows.append([f"**all {len(rows)}**", "", "", "", f"{both.difference:+.3f}", f"{both.p:.3f}", verdict])
    parts = [
        paragraph(conclusion(test)),
        table(heads, rows, words=2),
        image("difference of normalized scores and probability of a higher score, for each pair", f"{design.file}.png"),
        "## The rules, fixed before the runs",
        design.rules.strip(),
        "## Not judged: stochastic evaluations, and the torch engine",
        "The same pairs by their stochastic evaluation after training, and our torch engine beside SB3:",
        table(
            heads[:-1],
            [_cells(pair._replace(steps=f"{pair.steps}, stochastic")) for pair in test.stochastic]
            + [_cells(pair) for pair in test.torch],
            words=2,
        ),
    ]
    numbers = {
        "margin": MARGIN,
        "width": WIDTH,
        "seeds": list(design.seeds),
        "together": _plain(both) | {"equivalent": both.equivalent},
        "pairs": [
            {"env": pair.env, "steps": pair.steps, **_plain(estimate([pair])), "verdict": _verdict(pair, apart)}
            for pair in test.pairs
        ],
    }
    return Page(f"Equivalence with Stable-Baselines3's {design.algorithm}", command, test.machine, parts, numbers)


def _cells(pair: Pair) -> list[str]:
    x = estimate([pair])
    return [
        pair.env, pair.steps, f"{pair.ours.mean():.2f}", f"{pair.theirs.mean():.2f}", f"{x.difference:+.2f}",
        f"{x.p:.2f}",
    ]  # fmt: skip


def _verdict(pair: Pair, apart: Sequence[Pair]) -> str:
    if any(pair is other for other in apart):
        return "different"
    return "equivalent" if estimate([pair]).equivalent else "not decided"


def _plain(x: Estimate) -> dict[str, object]:
    return {"difference": as_plain(x.difference), "p": as_plain(x.p)}


def draw(test: Judgment, path: Path) -> None:
    """One row per pair and one for all: the difference with its margin, and P, into `path`.png and `path`.pdf."""
    design = test.design
    rows = [(f"{pair.env}, {pair.steps}", estimate([pair])) for pair in test.pairs] + [("all pairs", test.together)]
    with canvas(7.2, 1.3 + 0.23 * len(rows)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for row, (_, x) in enumerate(rows):
            color = BLACK if row == len(rows) - 1 else BLUE
            for axes, interval in ((left, x.difference), (right, x.p)):
                axes.plot([interval.low, interval.high], [row, row], color=color, lw=2, solid_capstyle="butt")
                axes.plot(interval.value, row, "o", ms=4, color=color)
        left.axvspan(-MARGIN, MARGIN, color=ORANGE, alpha=0.15, lw=0)
        left.axvline(0, color="0.4", lw=1, ls=":")
        right.axvline(0.5, color="0.4", lw=1, ls=":")
        left.set_yticks(range(len(rows)), [label for label, _ in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        extent = 1.1 * max(float(np.abs(x.difference[1:]).max()) for _, x in rows)
        left.set_xlim(-extent, extent)
        right.set_xlim(0, 1)
        finish(left, f"difference of normalized mean scores, ours − SB3's\n90 % intervals; shaded: margin ± {MARGIN}")
        finish(right, "probability that ours scores higher\n95 % intervals; dotted: ½")
        figure.suptitle(
            f"Our {design.algorithm} and Stable-Baselines3's, {len(design.seeds)} seeds a side\n"
            "scores: 0 is random actions, 1 the published score of rl-baselines3-zoo",
            fontsize="medium",
        )
        save(figure, path)
