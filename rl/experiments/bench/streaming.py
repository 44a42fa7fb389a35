"""Benchmarks streaming actor-critic: one environment, one step per update, beside stepping alone."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from agents.settings.actor_critic import Engine
from agents.streaming import StreamAC
from rl.experiments.bench import systems, timing
from rl.experiments.bench.systems import Build, Run, Shape
from rl.experiments.bench.timing import Rates, Whole
from rl.experiments.pages import Page, paragraph, table

ENVIRONMENTS = ("CartPole-v1", "LunarLander-v3", "Hopper-v5")
DECAYS = (0.0, 0.8)
COMMAND = ["rl.train", "CartPole-v1", "--agent", "stream", "--total-timesteps", "20000"]
_GYMNASIUM, _TORCH = "stepping only, Gymnasium", "torch, λ = 0"


def measure(env_ids: Iterable[str], repeats: int, seconds: float) -> dict[str, dict[str, Rates]]:
    """Environment → system → rates; the systems of an environment are interleaved."""
    return {env_id: timing.interleaved(_systems(env_id), 1, repeats, seconds) for env_id in env_ids}


def _systems(env_id: str) -> dict[str, Build]:
    return {
        _GYMNASIUM: partial(systems.gymnasium, Shape(1, 1), env_id),
        _TORCH: partial(_stream, env_id, "torch", 0.0),
        **{_fused(decay): partial(_stream, env_id, "fused", decay) for decay in DECAYS},
    }


def _stream(env_id: str, engine: Engine, decay: float) -> Run:
    agent = StreamAC(env_id, engine=engine, trace_decay=decay)

    def run(steps: int) -> None:
        agent.learn(steps)

    return run


def _fused(decay: float) -> str:
    return f"fused, λ = {decay:g}"


def page(rates: Mapping[str, Mapping[str, Rates]], whole: Whole, repeats: int, command: str, machine: str) -> Page:
    heads = ["environment", *next(iter(rates.values())), "fused ÷ torch", "fused ÷ stepping"]
    rows = []
    for env_id, systems_of in rates.items():
        fused = systems_of[_fused(0.0)].median
        ratios = [f"{fused / systems_of[_TORCH].median:.0f}", f"{fused / systems_of[_GYMNASIUM].median:.2f}"]
        rows.append([env_id, *(f"{each.median:,.0f}" for each in systems_of.values()), *ratios])
    times = [of[_fused(0.0)].median / of[_TORCH].median for of in rates.values()]
    about = f"""How fast does streaming actor-critic train? The fused engine trains {min(times):.0f} to {max(times):.0f}
        times as fast as the torch engine, which is the readable one. Numbers are environment steps per second of
        `--agent stream` with its defaults: two layers of 64 units, one environment, an update after every step. They
        are medians of {repeats} repeats, in which the systems of a row took turns, on one thread. Compilation is not
        counted. Ratios are those of λ = 0, the default."""
    solved = f"""`{whole.command}` took {whole.seconds:.1f} s, with imports, evaluation on 200 episodes and drawing, and
        with the kernels on disk; its evaluation returned {whole.score:.1f} in the mean."""
    numbers: dict[str, Any] = {
        "environments": {env: {name: each.each for name, each in of.items()} for env, of in rates.items()},
        "shell": whole._asdict(),
    }
    parts = [paragraph(about), table(heads, rows), paragraph(solved)]
    return Page("How fast streaming actor-critic is", command, machine, parts, numbers)
