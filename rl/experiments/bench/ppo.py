"""Benchmarks PPO: ours, Stable-Baselines3's, stepping alone, and the arithmetic of the updates."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple, cast

from torch.nn import Linear

from agents.networks.actor_critic import input_size
from agents.ppo import PPO
from rl.experiments.bench import systems, timing
from rl.experiments.bench.systems import Build, Passes, Shape
from rl.experiments.bench.timing import Rates
from rl.experiments.pages import Page, paragraph, table

ENVIRONMENTS = ("CartPole-v1", "LunarLander-v3", "HalfCheetah-v5")
SB3, TORCH, FUSED, STEPPING, PRODUCTS = "SB3", "torch", "fused", "stepping only, Gymnasium", "products only"


class Setting(NamedTuple):
    shape: Shape
    passes: Passes

    def __str__(self) -> str:
        return f"{self.shape}, {self.passes.epochs} epochs, minibatches of {self.passes.size}"


SETTINGS = (
    Setting(Shape(8, 128), Passes(256, 4)),
    Setting(Shape(1, 2048), Passes(64, 10)),
)  # the second has SB3's defaults


def measure(env_ids: Iterable[str], repeats: int, seconds: float) -> dict[tuple[str, Setting], dict[str, Rates]]:
    """Environment and setting → system → rates; the systems of a row are interleaved."""
    return {
        (env_id, setting): timing.interleaved(_systems(env_id, setting), setting.shape.rows, repeats, seconds, 1)
        for env_id in env_ids
        for setting in SETTINGS
    }


def _systems(env_id: str, setting: Setting) -> dict[str, Build]:
    shape, passes = setting
    agent = PPO(env_id, engine="torch", num_envs=1, n_steps=2, batch_size=2)
    inputs, outputs = input_size(agent.obs_space), cast(Linear, agent.policy.net[-1]).out_features
    agent.worlds.close()
    return {
        STEPPING: partial(systems.gymnasium, shape, env_id),
        PRODUCTS: partial(systems.ppo_products, shape, passes.size, passes.epochs, inputs, outputs),
        SB3: partial(systems.stable_baselines_ppo, shape, passes, env_id),
        TORCH: partial(systems.ours_ppo, "torch", shape, passes, env_id),
        FUSED: partial(systems.ours_ppo, "fused", shape, passes, env_id),
    }


def page(rates: Mapping[tuple[str, Setting], Mapping[str, Rates]], repeats: int, command: str, machine: str) -> Page:
    rows = []
    for (env_id, setting), systems_of in rates.items():
        medians = {name: of.median for name, of in systems_of.items()}
        fused, stepping, products = medians[FUSED], medians[STEPPING], medians[PRODUCTS]
        native = env_id == "CartPole-v1"
        limit = products if native else 1 / (1 / stepping + 1 / products)
        quotients = fused / medians[SB3], medians[TORCH] / medians[SB3], fused / stepping, fused / limit
        rows.append([env_id, str(setting), *(f"{x:,.0f}" for x in medians.values()), *(f"{x:.2f}" for x in quotients)])
    ratios = ("fused ÷ SB3", "torch ÷ SB3", "fused ÷ stepping", "fused ÷ limit")
    heads = ("environment", "steps, epochs, minibatches", STEPPING, PRODUCTS, SB3, TORCH, FUSED, *ratios)
    times = [of[FUSED].median / of[SB3].median for of in rates.values()]
    about = f"""How fast does PPO train? The fused engine trains {min(times):.1f} to {max(times):.1f} times as fast as
        Stable-Baselines3 (SB3), most on CartPole-v1, which is compiled on our side. Numbers are environment steps per
        second: medians of {repeats} repeats, in which the systems of a row took turns, on one thread. Both sides have
        the same settings and the same networks of two layers of 64 units. Compilation is not counted. "Stepping only"
        is Gymnasium's vector environment with random actions; "products only" computes the matrix products of acting
        and of all epochs with our kernel. The limit of one core is the time of stepping plus the time of the products;
        on CartPole-v1, that of the products alone."""
    numbers: dict[str, object] = {
        f"{env_id}, {setting}": {name: of.each for name, of in systems_of.items()}
        for (env_id, setting), systems_of in rates.items()
    }
    return Page("How fast PPO is", command, machine, [paragraph(about), table(heads, rows, words=2)], numbers)
