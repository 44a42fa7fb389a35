from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product

import stable_baselines3 as sb3
import torch

from agents import A2C
from agents.machine import machine
from agents.sb3 import from_sb3
from agents.settings.a2c import A2CSettings
from rl.experiments.lockstep.replay import Difference, double_precision, lockstep
from rl.experiments.tables import paragraph, row, rule

Settings = dict[str, object]

LIMIT = 1e-5

_COLUMNS = ("estimates", "losses", "parameters", "optimizer")

STABLE, USUAL = 1e-4, 7e-4  # learning rates: one at which no training here is chaotic, and the default

FACTORS: Mapping[str, Sequence[tuple[str, Settings]]] = {
    "environment": [(env, {"env": env}) for env in ("CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0")],
    "steps": [(str(n), {"n_steps": n}) for n in (1, 5)],
    "λ": [(str(x), {"gae_lambda": x}) for x in (1.0, 0.95)],
    "entropy bonus": [(str(x), {"ent_coef": x}) for x in (0.0, 0.01)],
    "optimizer": [
        ("RMSprop", {}),
        ("RMSpropTFLike", {"rms_prop_tf_like": True}),
        ("Adam", {"use_rms_prop": False}),
    ],
    "advantages": [("as they are", {}), ("normalized", {"normalize_advantage": True})],
    "learning rate": [("constant", {}), ("linear to 0", {"decays": True})],
    "engine": [(engine, {"engine": engine}) for engine in ("torch", "fused")],
}

Combination = tuple[int, ...]  # which value of each factor

Measure = Callable[[Combination, float, int], Difference]

Task = tuple[Measure, Combination, float, int]

EVERY: list[Combination] = list(product(*(range(len(values)) for values in FACTORS.values())))


def covering(strength: int) -> list[Combination]:
    """Combinations in which every `strength` values of different factors stand together at least once. Greedy."""

    def covered(chosen: Combination) -> set[tuple[tuple[int, int], ...]]:
        return set(combinations(enumerate(chosen), strength))

    left = set[tuple[tuple[int, int], ...]]().union(*map(covered, EVERY))
    rows: list[Combination] = []
    while left:
        rows.append(max(EVERY, key=lambda chosen: len(covered(chosen) & left)))
        left -= covered(rows[-1])
    return rows


def names(chosen: Combination) -> list[str]:
    return [values[i][0] for values, i in zip(FACTORS.values(), chosen, strict=True)]


def settings_of(chosen: Combination, learning_rate: float) -> A2CSettings:
    merged: Settings = {}
    for values, i in zip(FACTORS.values(), chosen, strict=True):
        merged |= values[i][1]
    rate = f"linear({learning_rate}, 0)" if merged.pop("decays", False) else learning_rate
    return A2CSettings(**({"num_envs": 4, "learning_rate": rate} | merged))  # type: ignore[arg-type]


def in_single(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    """SB3 as it is."""
    return lockstep(settings_of(chosen, learning_rate), updates).worst


def in_double(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    with double_precision():
        return lockstep(settings_of(chosen, learning_rate), updates).worst


def nudged(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    """In double precision, one weight of ours moved by what one rounding to single precision may move it."""

    def agent_of(model: sb3.A2C) -> A2C:
        agent = from_sb3(model, engine="torch")
        with torch.no_grad():
            weight = next(agent.value.parameters()).view(-1)
            weight[0] *= 1 + torch.finfo(torch.float32).eps
        return agent

    with double_precision():
        return lockstep(settings_of(chosen, learning_rate), updates, agent_of).worst


def _measure(task: Task) -> Difference:
    measure, chosen, learning_rate, updates = task
    return measure(chosen, learning_rate, updates)


def _page(made: str, updates: int, rows: Mapping[Combination, tuple[Difference, Difference]]) -> str:
    single, double = zip(*rows.values(), strict=True)
    heads = [f"{precision}: {what}" for precision in ("single", "double") for what in _COLUMNS]
    text = [
        "# In lockstep with Stable-Baselines3",
        "",
        f"Made by `{made}`",
        "",
        f"on {machine()}.",
        "",
        paragraph(f"""
            Stable-Baselines3 trains for {updates:,} updates, four environments side by side. The transitions that it
            collects, and nothing that it computes from them, go through our update too, which began with its initial
            weights and is never brought back to them. Numbers are the largest difference in all updates: of parameters
            and of what the optimizer remembers absolute; of returns and advantages (estimates) relative to the largest
            return of the rollout; of policy loss, value loss, entropy and gradient norm (losses) relative to
            Stable-Baselines3's."""),
        "",
        f"## At a learning rate of {STABLE:g}",
        "",
        paragraph(f"""
            Parameters are within {LIMIT:g} in {_within([x.parameters for x in single])} rows with Stable-Baselines3
            as it is, in single precision; everything is within {LIMIT:g} in {_within([max(x) for x in double])} rows
            in double precision. The losses' digits in single precision are those of numbers that nearly cancel: a TD
            error far smaller than the values that it is the difference of, a policy loss of terms of either sign. The
            largest differences: {_largest(single)} in single, {_largest(double)} in double precision."""),
        "",
        row([*FACTORS, *heads]),
        rule(len(FACTORS), len(heads)),
        *(row([*names(chosen), *_cells(a), *_cells(b)]) for chosen, (a, b) in rows.items()),
        "",
    ]
    return "\n".join(text) + "\n"


def _cells(x: Difference) -> list[str]:
    return [f"{value:.0e}" for value in (x.estimates, x.losses, x.parameters, x.optimizer)]


def _within(values: Sequence[float]) -> str:
    return f"{sum(value <= LIMIT for value in values)} of {len(values)}"


def _largest(found: Sequence[Difference]) -> str:
    worst = Difference(*(max(column) for column in zip(*found, strict=True)))
    return ", ".join(f"{what} {x}" for what, x in zip(_COLUMNS, _cells(worst), strict=True))


def _chaos(rows: Mapping[Combination, tuple[Difference, Difference, Difference]]) -> str:
    text = [
        f"## At its default learning rate, {USUAL:g}: rounding, amplified",
        "",
        paragraph(f"""
            With steps seven times as long some trainings are chaotic: a rounding grows by orders of magnitude in a
            hundred updates, in whoever's code. So the same is measured with both sides in double precision, and there
            once more with one weight of ours moved by {torch.finfo(torch.float32).eps:.1e} of itself, one rounding of
            single precision. Where double precision leaves next to nothing, both do the same arithmetic, and what
            single precision shows is rounding; where one moved weight grows to 0.1, no two programs that round
            differently can agree. Differences of parameters:"""),
        "",
        row([*FACTORS, "single precision", "double precision", "double, one weight moved"]),
        rule(len(FACTORS), 3),
        *(row([*names(chosen), *(f"{x.parameters:.0e}" for x in found)]) for chosen, found in rows.items()),
    ]
    return "\n".join(text) + "\n"
