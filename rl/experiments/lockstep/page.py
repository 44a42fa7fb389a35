"""The page of `python -m rl.lockstep`."""

from collections.abc import Mapping, Sequence

import torch

from rl.experiments.lockstep.combinations import DEFAULT, FACTORS, LIMIT, STABLE, Combination, names
from rl.experiments.lockstep.component_parts import component_parts
from rl.experiments.lockstep.components import Components
from rl.experiments.lockstep.replay import Difference
from rl.experiments.pages import Page, paragraph, table

_COLUMNS = ("estimates", "losses", "parameters", "optimizer")


def page(
    command: str, machine: str, updates: int, stable: Mapping[Combination, tuple[Difference, Difference]],
    default: Mapping[Combination, tuple[Difference, Difference, Difference]], components: Components,
) -> Page:  # fmt: skip
    """stable: differences in single and in double precision, at the lower learning rate. default: those at the default
    learning rate, and in double precision with one weight changed."""
    single, double = zip(*stable.values(), strict=True)
    heads = [f"{precision}: {what}" for precision in ("single", "double") for what in _COLUMNS]
    parts = [
        paragraph(f"""
            Stable-Baselines3 trains for {updates:,} updates, four environments in parallel. The transitions that it
            collects, and nothing that it computes from them, go through our update too, which began with its initial
            weights and is never brought back to them. Numbers are the largest difference in all updates: of parameters
            and of what the optimizer remembers absolute; of returns and advantages (estimates) relative to the largest
            return of the rollout; of policy loss, value loss, entropy and gradient norm (losses) relative to
            Stable-Baselines3's."""),
        f"## Updates, at a learning rate of {STABLE:g}",
        paragraph(f"""
            Parameters are within {LIMIT:g} in {_within([x.parameters for x in single])} rows with Stable-Baselines3
            as it is, in single precision; everything is within {LIMIT:g} in {_within([max(x) for x in double])} rows
            in double precision. The losses' digits in single precision are those of numbers that nearly cancel: a TD
            error far smaller than the values that it is the difference of, a policy loss of terms of either sign. The
            largest differences: {_largest(single)} in single, {_largest(double)} in double precision."""),
        table(
            [*FACTORS, *heads],
            ([*names(chosen), *_cells(a), *_cells(b)] for chosen, (a, b) in stable.items()),
            words=len(FACTORS),
        ),
        f"## Updates, at its default learning rate, {DEFAULT:g}: rounding, amplified",
        paragraph(f"""
            With steps seven times as long some trainings are chaotic: a rounding grows by orders of magnitude in a
            hundred updates, in whoever's code. So the same is measured with both sides in double precision, and there
            once more with one weight of ours moved by {torch.finfo(torch.float32).eps:.1e} of itself, one rounding of
            single precision. Where double precision leaves next to nothing, both do the same arithmetic, and what
            single precision shows is rounding; where one moved weight grows to 0.1, no two programs that round
            differently can agree. Differences of parameters:"""),
        table(
            [*FACTORS, "single precision", "double precision", "double, one weight moved"],
            ([*names(chosen), *(f"{x.parameters:.0e}" for x in found)] for chosen, found in default.items()),
            words=len(FACTORS),
        ),
        *component_parts(components),
    ]
    return Page("In lockstep with Stable-Baselines3", command, machine, parts, {})


def _cells(x: Difference) -> list[str]:
    return [f"{value:.0e}" for value in (x.estimates, x.losses, x.parameters, x.optimizer)]


def _within(values: Sequence[float]) -> str:
    return f"{sum(value <= LIMIT for value in values)} of {len(values)}"


def _largest(found: Sequence[Difference]) -> str:
    worst = Difference(*(max(column) for column in zip(*found, strict=True)))
    return ", ".join(f"{what} {x}" for what, x in zip(_COLUMNS, _cells(worst), strict=True))
