"""The page of `python -m rl.experiments.collapse`, and every number in it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.settings.values import plain
from rl.experiments.collapse import __doc__ as fixed_before
from rl.experiments.collapse import conditions as c
from rl.experiments.collapse.conditions import BASELINE, NONE, PARTS, RECIPE, UNBOUND, Condition, Mix
from rl.experiments.collapse.diagnostics import STEPS, UPDATES
from rl.experiments.collapse.outcomes import (
    FAILED,
    GRID,
    Outcome,
    aligned,
    difference,
    fallen,
    groups,
    medians,
    middle,
    share,
)
from rl.experiments.collapse.outcomes import outcome as outcome_of
from rl.experiments.collapse.training import Run
from rl.experiments.pages import Page, image, paragraph, table
from rl.experiments.statistics import METHOD, Interval, as_plain, mean_interval

Runs = Mapping[str, Sequence[Run]]
Quartiles = list[float]
Medians = dict[str, dict[str, dict[str, Quartiles]]]  # group of runs → window → quantity

_LESS, _MORE, _OPEN = "fails less", "fails more", "not decided"
_TESTS = (  # hypothesis, condition, reference, how it fails if the hypothesis holds, and the verdict otherwise
    ("1: saturation is necessary", c.RELU, BASELINE, _LESS, "contradicted"),
    ("3: the clip is a cause", UNBOUND, BASELINE, _LESS, _OPEN),
    ("3: a clip that binds ruins the recipe", c.FORCED, RECIPE, _MORE, _OPEN),
    ("4: the clip harms through the policy's gradient", c.POLICY_SCALED, UNBOUND, _MORE, _OPEN),
    ("4: the clip harms through the critic's gradient", c.CRITIC_SCALED, UNBOUND, _MORE, _OPEN),
    ("6: the critic's norm starves the policy", c.SMALL_VF_COEF, BASELINE, _LESS, _OPEN),
    ("7: the policy's steps are too long", c.SHIFT_BOUND, BASELINE, _LESS, _OPEN),
    ("7: the policy's steps are too long", c.SLOW, BASELINE, _LESS, _OPEN),
)

_QUANTITIES = {
    "return": "training return, last 20 episodes",
    "v_start": "V at initial states",
    "bias": "V at initial states − true discounted return",
    "v_std": "V, standard deviation over states",
    "delta": "δ, mean",
    "delta_inside": "δ inside episodes",
    "delta_end": "δ where an episode terminates",
    "positive": "share of δ > 0",
    "entropy": "entropy of the policy (nats)",
    "shift_mean": "policy shift KL (nats), mean",
    "shift_max": "policy shift KL (nats), largest",
    "saturated_critic": "saturated units, last hidden layer of the critic",
    "saturated_policy": "saturated units, last hidden layer of the policy",
    "gradient_policy_end": "gradient norm of π_θ, updates with a termination",
    "gradient_critic_end": "gradient norm of V_φ, updates with a termination",
    "scale_end": "factor of the clip, updates with a termination",
    "scale_inside": "factor of the clip, other updates",
}


def page(
    interventions: Sequence[Condition], healthy: Sequence[Condition], mixes: Sequence[Mix], runs: Runs, command: str,
    machine: str,
) -> Page:  # fmt: skip
    outcomes = {label: outcome_of(line) for label, line in runs.items()}
    bias = {label: bias_after_fall(runs[label]) for label in (BASELINE, UNBOUND)}
    parts = [
        paragraph(_answer(outcomes)),
        f"What was fixed before the runs:\n\n```text\n{(fixed_before or '').strip()}\n```",
        "## The hypotheses", _verdicts(interventions, runs, outcomes, bias),
        image("runs around their first fall, and shares of failed and successful runs by condition", "collapse.png"),
        "## The baseline with one thing changed", paragraph(_COLUMNS), _scores(interventions, runs, outcomes, BASELINE),
        "## Before and after the first fall", _around_fall(runs),
        "## The recipe in fewer environments, and with a clip that binds", _scores(healthy, runs, outcomes, RECIPE),
        "## Every mix of the recipe's parts", paragraph(_about_mixes(mixes, runs)), _effects(mixes, runs),
        _scores([mix.condition for mix in mixes], runs, outcomes, NONE),
    ]  # fmt: skip
    conditions = [*interventions, *healthy, *(mix.condition for mix in mixes)]
    numbers = {
        "bias after the fall": {label: as_plain(x) for label, x in bias.items()},
        "around the fall": _windows(runs),
        "effects": {part: [as_plain(x) for x in _effect(mixes, runs, part)] for part in PARTS},
        "conditions": {each.label: _numbers(each, runs[each.label], outcomes[each.label]) for each in conditions},
    }
    return Page("Why single-step TD fails on CartPole-v1", command, machine, parts, numbers)


_COLUMNS = f"""Failed and succeeded are shares of runs with 95 % Wilson intervals, and "minus" is the difference in the
    share that failed. "Held 475" counts the runs that held 475, as defined above; "median step" is the median over all
    runs of the step at which they first did, – if no more than half did. "Fell" counts the runs that fell, and
    "succeeded after it" those of them that succeeded. "Critic saturated" is the share of saturated units in the
    critic's last hidden layer at the end of training, in the median run. The mean score has a 95 % {METHOD}
    interval."""


def _answer(outcomes: Mapping[str, Outcome]) -> str:
    shares = [f"{outcomes[label].failed:.2f}" for label in (BASELINE, UNBOUND, c.CRITIC_SCALED, c.POLICY_SCALED)]
    caused = difference(outcomes[UNBOUND].failed, outcomes[BASELINE].failed).high < 0
    return f"""{"The gradient clip is a cause" if caused else "No cause is shown"}. The share of runs that fail is
        {shares[0]} in the baseline and {shares[1]} without the clip. It is {shares[2]} if the clip scales the critic's
        gradient only, and {shares[3]} if it scales the policy's only."""


def _about_mixes(mixes: Sequence[Mix], runs: Runs) -> str:
    part = next(iter(PARTS))
    kept = [mix for parts, mix in mixes if part in parts]
    return f"""Shares over the {len(kept)} mixes with a part, {sum(len(runs[mix.label]) for mix in kept)} runs, and over
        as many without it, with 95 % Wilson intervals; differences with Newcombe's."""


def _numbers(condition: Condition, runs: Sequence[Run], outcome: Outcome) -> dict[str, object]:
    return {
        "settings": {name: plain(value) for name, value in condition.settings.items()},
        "outcome": as_plain(outcome),
        "scores": [run.score for run in runs],
        "solved_at": [run.solved_at for run in runs],
        "saturated_critic": as_plain(middle(runs, "saturated_critic")),
    }


def _verdicts(
    interventions: Sequence[Condition], runs: Runs, outcomes: Mapping[str, Outcome], bias: Mapping[str, Interval]
) -> str:
    rows = []
    for hypothesis, label, other, expected, otherwise in _TESTS:
        x = difference(outcomes[label].failed, outcomes[other].failed)
        found = _LESS if x.high < 0 else _MORE if x.low > 0 else ""
        rows.append(
            [hypothesis, f"{label} − {other}", f"{x:.2f}", "holds" if found == expected else found or otherwise]
        )
    saturated = [
        each.label
        for each in interventions
        if middle(runs[each.label], "saturated_critic") >= 0.9
        and difference(outcomes[each.label].failed, outcomes[BASELINE].failed).high < 0
    ]
    clipped, unclipped = bias[BASELINE], bias[UNBOUND]
    biased = abs(unclipped.value) < abs(clipped.value) and not unclipped.overlaps(clipped)
    fell = [f"{outcomes[label].fell} of {len(runs[label])}" for label in (BASELINE, UNBOUND)]
    notes = f"""Hypothesis 2, saturation is sufficient: {"contradicted" if saturated else _OPEN}. These conditions fail
        less than the baseline although at least 90 % of the critic's units are saturated:
        {", ".join(saturated) or "none"}. Hypothesis 5, the clip biases the critic: {"holds" if biased else _OPEN}.
        After the first fall, V at the initial states minus the true discounted return is {clipped:.1f} in the
        {BASELINE} and {unclipped:.1f} with {UNBOUND}. Only runs that fell can be compared so, {fell[0]} and {fell[1]},
        and the clip may decide which runs fall. Intervals are not corrected for the number of hypotheses."""
    heads = ["hypothesis", "conditions compared", "difference in the share that failed", "verdict"]
    return "\n\n".join([table(heads, rows, words=2), paragraph(notes)])


def bias_after_fall(runs: Sequence[Run]) -> Interval:
    """V(start) − true discounted return: the median over the steps from the first fall on, mean over runs; NaN without
    a run that fell."""
    found = medians(aligned(fallen(runs), "bias")[:, GRID >= 0])
    return mean_interval(found if len(found) else [np.nan])


def _scores(conditions: Sequence[Condition], runs: Runs, outcomes: Mapping[str, Outcome], reference: str) -> str:
    """One row per condition. reference: the condition with which the others are compared."""
    heads = [
        "condition", "settings", "runs", "mean score", "failed", f"minus {reference}", "succeeded", "held 475",
        "median step", "fell", "succeeded after it", "critic saturated",
    ]  # fmt: skip
    rows = []
    for label, settings, *_ in conditions:
        x, saturated = outcomes[label], middle(runs[label], "saturated_critic")
        changes = ", ".join(f"`{name}: {plain(value)}`" for name, value in settings.items())
        minus = "" if label == reference else f"{difference(x.failed, outcomes[reference].failed):.2f}"
        scores = [f"{x.mean:.0f}", f"{x.failed:.2f}", minus, f"{x.succeeded:.2f}"]
        times = [str(x.solved.hits), x.solved.moment, str(x.fell), str(x.recovered)]
        last = f"{saturated:.0%}" if np.isfinite(saturated) else "–"
        rows.append([label, changes, str(len(runs[label])), *scores, *times, last])
    return table(heads, rows, words=2)


def _around_fall(runs: Runs) -> str:
    """Each group of runs before and after the first fall."""
    windows = _windows(runs)
    columns = [(label, when) for label in windows for when in windows[label]]
    rows = [
        [words, *(_quartiles(windows[label][when].get(name)) for label, when in columns)]
        for name, words in _QUANTITIES.items()
    ]
    counts = ", ".join(f"{label}: {len(line)}" for label, line in groups(runs[BASELINE], runs[UNBOUND]).items())
    note = f"""Runs that fell ({counts}), aligned at their first fall. Of each run, the median over the {-GRID[0]:,}
        steps before the fall or over the {GRID[-1]:,} steps after it; the table shows the median of these over runs,
        and their quartiles in brackets. Measured every {UPDATES} updates on {STEPS} steps of the policy in 8
        environments. A dash means that there were no such transitions."""
    return "\n\n".join([table(["", *(f"{label}, {when}" for label, when in columns)], rows), paragraph(note)])


def _windows(runs: Runs) -> Medians:
    """Quartiles over runs of each run's median."""
    found: Medians = {}
    for label, line in groups(runs[BASELINE], runs[UNBOUND]).items():
        curves = {name: aligned(line, name) for name in _QUANTITIES}
        found[label] = {
            when: {name: q for name, x in curves.items() if (q := _over_runs(x[:, inside]))}
            for when, inside in (("before", GRID < 0), ("after", GRID >= 0))
        }
    return found


def _over_runs(x: NDArray[np.float64]) -> Quartiles:
    return list(np.quantile(middles, (0.25, 0.5, 0.75)).tolist()) if len(middles := medians(x)) else []


def _quartiles(x: Quartiles | None) -> str:
    return "–" if x is None else f"{x[1]:.3g} [{x[0]:.3g}, {x[2]:.3g}]"


def _effect(mixes: Sequence[Mix], runs: Runs, part: str) -> list[Interval]:
    """Shares of runs that failed, and that held 475: over all mixes with the part, and over all without it."""
    sides = [[run for kept, mix in mixes if (part in kept) is has for run in runs[mix.label]] for has in (True, False)]
    return [
        share(np.array([hit(run) for run in side]))
        for hit in (lambda run: run.score < FAILED, lambda run: run.solved_at is not None)
        for side in sides
    ]


def _effects(mixes: Sequence[Mix], runs: Runs) -> str:
    heads = ["part", "failed with it", "without it", "difference", "held 475 with it", "without it", "difference"]
    rows = []
    for part in PARTS:
        x = _effect(mixes, runs, part)
        cells = [x[0], x[1], difference(x[0], x[1]), x[2], x[3], difference(x[2], x[3])]
        rows.append([part, *(f"{cell:.2f}" for cell in cells)])
    return table(heads, rows)
