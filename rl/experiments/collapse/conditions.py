"""The conditions: the failing baseline with one change each, and every mix of the recipe's parts."""

from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple

from agents.maths.schedules import Linear
from agents.settings.recipes import recipe_settings

ENV = "CartPole-v1"
Settings = Mapping[str, object]
UNCLIPPED = 1e9  # a bound that no gradient exceeds


class Condition(NamedTuple):
    """A line of runs."""

    label: str
    settings: Settings  # on top of the defaults: Stable-Baselines3's, but n_steps = 1
    scaled: Literal["both", "policy", "critic"] = "both"  # networks whose gradients the clip scales
    measured: bool = False  # during training too, not only at the end
    seeds: int = 50  # at most
    steps: int = 100_000


class Mix(NamedTuple):
    """A mix of the recipe's parts."""

    parts: frozenset[str]
    condition: Condition


BASELINE, UNBOUND, RELU, SMALL_VF_COEF = "baseline", "no clip", "ReLU", "vf_coef 0.005"
SHIFT_BOUND, SLOW = "policy shift ≤ 1e-3", "learning rate 2e-4"
FORCED, RECIPE = "recipe, clip 0.005", "recipe"
POLICY_SCALED, CRITIC_SCALED = "clip scales π only", "clip scales V only"

_ONE_CHANGE: dict[str, Settings] = {
    "clip 10": {"max_grad_norm": 10.0},
    SMALL_VF_COEF: {"vf_coef": 0.005},
    RELU: {"activation": "relu"},
    "ReLU, no clip": {"activation": "relu", "max_grad_norm": UNCLIPPED},
    "rewards × 0.01": {"reward_scale": 0.01},
    "rewards normalized": {"normalize_rewards": True},
    "γ = 0.98": {"gamma": 0.98},
    "observations normalized": {"normalize_observations": True},
    "ε = 1e-3": {"rms_prop_eps": 1e-3},
    "Adam": {"use_rms_prop": False},
    "critic × 3": {"critic_lr_scale": 3.0},
    "critic × 0.3": {"critic_lr_scale": 0.3},
    SLOW: {"learning_rate": 2e-4},
    "learning rate to 0": {"learning_rate": Linear(7e-4, 0)},
    SHIFT_BOUND: {"max_policy_shift": 1e-3},
    "5 steps": {"n_steps": 5},
    "1 environment": {"num_envs": 1},
    "16 environments": {"num_envs": 16},
    "32 environments": {"num_envs": 32},
}

PARTS: Mapping[str, str] = {  # part of the recipe → its settings
    "observations normalized": "normalize_observations",
    "rewards normalized": "normalize_rewards",
    "critic × 3": "critic_lr_scale",
    "ε = 1e-3": "rms_prop_eps",
    "16 environments": "num_envs",
}
NONE = "none of the parts"


def interventions() -> list[Condition]:
    """The baseline, and the baseline with one change each."""
    return [
        Condition(BASELINE, {}, measured=True),
        Condition(UNBOUND, {"max_grad_norm": UNCLIPPED}, measured=True),
        *(Condition(label, settings) for label, settings in _ONE_CHANGE.items()),
        Condition(POLICY_SCALED, {}, "policy", seeds=20),
        Condition(CRITIC_SCALED, {}, "critic", seeds=20),
    ]


def factorial() -> list[Mix]:
    """Every mix of the recipe's parts, from none to all."""
    recipe, mixes = recipe_settings(ENV), []
    for chosen in product((False, True), repeat=len(PARTS)):
        kept = [part for part, use in zip(PARTS, chosen, strict=True) if use]
        settings = {PARTS[part]: recipe[PARTS[part]] for part in kept}
        label = f"only {kept[0]}" if len(kept) == 1 else " + ".join(kept) or NONE
        mixes.append(
            Mix(frozenset(kept), Condition(label, settings, measured=not kept, seeds=20))
        )  # no parts: the baseline's runs
    return mixes


def healthy() -> list[Condition]:
    """The recipe, with fewer environments, and with a clip small enough to bind."""
    recipe = recipe_settings(ENV)
    fewer = [Condition(f"{RECIPE}, num_envs {n}", {**recipe, "num_envs": n}) for n in (8, 4, 1)]
    return [Condition(RECIPE, recipe), *fewer, Condition(FORCED, {**recipe, "max_grad_norm": 0.005})]
