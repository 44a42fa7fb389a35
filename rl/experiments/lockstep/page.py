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
    """stable: differences in single and in double precision, at the lower learning rate. default: the same at the
    default learning rate, and in double precision with one weight changed."""
    single, double = zip(*stable.values(), strict=True)
    heads = [f"{precision}: {what}" for precision in ("single", "double") for what in _COLUMNS]
    parts = [
        paragraph(f"""
            Does our A2C compute the same numbers as Stable-Baselines3's, from the same inputs? Stable-Baselines3 trains
            for {updates:,} updates with four environments in parallel. Our update receives the transitions that it
            collects, and nothing that it computes from them. Ours starts from the same initial weights and is never
            corrected afterwards. The tables show the largest difference in all updates: absolute for parameters and for
            what the optimizer stores; relative to the largest return of the rollout for returns and advantages
            (estimates); relative to Stable-Baselines3's for policy loss, value loss, entropy and gradient norm
            (losses)."""),
        f"## Updates, at a learning rate of {STABLE:g}",
        paragraph(f"""
            In single precision, with Stable-Baselines3 as it is, parameters stay within {LIMIT:g} of each other in
            {_within([x.parameters for x in single])} rows. In double precision, everything does in
            {_within([max(x) for x in double])} rows. In single precision, losses share fewer digits than parameters:
            they are what is left of numbers that nearly cancel, such as a TD error much smaller than the two values
            whose difference it is, or a policy loss whose terms have either sign. The largest differences: in single
            precision, {_largest(single)}; in double precision, {_largest(double)}."""),
        table(
            [*FACTORS, *heads],
            ([*names(chosen), *_cells(a), *_cells(b)] for chosen, (a, b) in stable.items()),
            words=len(FACTORS),
        ),
        f"## Updates, at its default learning rate of {DEFAULT:g}",
        paragraph(f"""
            A learning rate {DEFAULT / STABLE:g} times as high amplifies rounding: in single precision, parameters
            differ by up to {_most(default, 0)}. To tell rounding from different arithmetic, both sides also train in
            double precision, and there once more with one of our weights changed by
            {torch.finfo(torch.float32).eps:.1e} of itself, which is one rounding of single precision. In double
            precision, parameters differ by at most {_most(default, 1)}: both sides do the same arithmetic. The one
            changed weight alone leads to differences of up to {_most(default, 2)}, and single precision rounds in every
            operation, not once. Differences of parameters:"""),
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


def _most(found: Mapping[Combination, tuple[Difference, Difference, Difference]], which: int) -> str:
    """The largest difference of parameters in one of the three measurements."""
    return f"{max(each[which].parameters for each in found.values()):.0e}"


def _largest(found: Sequence[Difference]) -> str:
    worst = Difference(*(max(column) for column in zip(*found, strict=True)))
    return ", ".join(f"{what} {x}" for what, x in zip(_COLUMNS, _cells(worst), strict=True))
