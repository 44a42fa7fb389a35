"""The benchmark's page and its figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rl.experiments.pages import Page, image, paragraph, table
from rl.run.figure import BLACK, BLUE, GREEN, ORANGE, SKY, canvas, finish, save

SB3, TORCH, FUSED = "SB3", "ours, torch", "ours, fused"
GYMNASIUM, NATIVE = "stepping only, Gymnasium", "stepping only, native"
LIMIT = "matrix products only"
_STYLES = {LIMIT: (BLACK, "_"), FUSED: (BLUE, "o"), "rejax": (GREEN, "D"), TORCH: (SKY, "^"), SB3: (ORANGE, "s")}
Content = Mapping[str, Any]


def page(content: Content, command: str, machine: str) -> Page:
    parts = [
        _about(content),
        "## One core, CartPole-v1",
        *_shapes(content),
        "## Sixteen seeds of 8 × 5 on both cores",
        _seeds(content),
        "## Environments that exist in Python only",
        *_python(content),
        "## From the shell to a solved CartPole-v1",
        _shell(content),
        "Times include imports, training, evaluation on 200 episodes and drawing.",
        image("environment steps per second of each system on CartPole-v1, by shape", "bench.png"),
    ]
    return Page("How fast training is", command, machine, parts, content)


def _about(content: Content) -> str:
    compiled = [_median(rates, FUSED) / _median(rates, SB3) for rates in content["shapes"].values()]
    python = [_median(rates, "fused") / _median(rates, "SB3") for rates in content["python"].values()]
    same = (
        ""
        if not python
        else f"""With Gymnasium's environments on both sides, it trains {min(python):.1f} to
        {max(python):.1f} times as fast."""
    )
    return paragraph(f"""How fast does A2C train? On CartPole-v1, the fused engine with our compiled environment trains
        {min(compiled):.0f} to {max(compiled):.0f} times as fast as Stable-Baselines3 (SB3) with Gymnasium's.
        {same} All numbers are
        environment steps per second: medians of {content["repeats"]} repeats (3 for rejax and for sixteen seeds), in
        which the systems of a table took turns. Each has one thread (torch, OpenMP and BLAS are limited to one), the
        same hyper-parameters, SB3's defaults, and the same networks, two of 64-64 tanh units. Shapes are environments ×
        steps per update. Compilation is not counted.""")


def _median(rates: Mapping[str, Any], name: str) -> float:
    return cast(float, rates[name]["median"])


def _rates(content: Content, name: str) -> dict[str, Any]:
    """Rates of a system, for the shapes in which it was timed."""
    shapes = content["shapes"]
    found = {shape: content["rejax"].get(shape) if name == "rejax" else shapes[shape].get(name) for shape in shapes}
    return {shape: rates for shape, rates in found.items() if rates}


def _shapes(content: Content) -> list[str]:
    shapes, rows = content["shapes"], []
    for name in (SB3, TORCH, FUSED, "rejax", GYMNASIUM, NATIVE, LIMIT):
        rates = _rates(content, name)
        if rates:
            rows.append([name, *(f"{_median(rates, shape):,.0f}" if shape in rates else "" for shape in shapes)])
    for name, other in ((FUSED, SB3), (FUSED, TORCH), (FUSED, LIMIT)):
        ratios = [_median(rates, name) / _median(rates, other) for rates in shapes.values()]
        cells = [f"{ratio:.2g}" if ratio < 1 else f"{ratio:.0f}" for ratio in ratios]
        rows.append([f"**{name} ÷ {other}**", *cells])
    note = """“Matrix products only” computes the matrix products of an update, with the same shapes and the same
        kernel, and nothing else: no tanh, no optimizer, no environment."""
    if content["rejax"]:
        note += """ “rejax” is its PPO with one epoch and one minibatch, which is nearly A2C, compiled by JAX. It uses
            both cores and gymnax's CartPole, and was not timed at 1 × 1."""
    return [table(["", *shapes], rows), paragraph(note)]


def _seeds(content: Content) -> str:
    rates = dict(content["seeds"])
    if "16 seeds of 8 × 5" in content["rejax"]:
        rates["rejax, vmap over seeds"] = content["rejax"]["16 seeds of 8 × 5"]
    best = max((name for name in rates if name.startswith("ours")), key=lambda name: _median(rates, name))
    rows = []
    for name in rates:
        ratio = _median(rates, best) / _median(rates, name)
        rows.append([name, f"{_median(rates, name):,.0f}", "" if name == best else f"{ratio:.2f}"])
    return table(["", "steps per second, all seeds together", f"{best} ÷ this"], rows)


def _python(content: Content) -> list[str]:
    rows = []
    for name, rates in content["python"].items():
        cells = [f"{_median(rates, key):,.0f}" for key in ("random", "fused", "torch", "SB3")]
        rows.append([name, *cells, f"{_median(rates, 'fused') / _median(rates, 'random'):.2f}"])
    heads = ["environment, shape", "random", "ours, fused", "ours, torch", "SB3", "**fused ÷ random**"]
    note = """“Random” steps Gymnasium's synchronous vector environment with random actions and learns nothing.
        CartPole-v1 is Gymnasium's here, not our compiled one."""
    return [table(heads, rows), paragraph(note)]


def _shell(content: Content) -> str:
    rows = []
    for kernels, whole in zip(("compiled by this command", "on disk", ""), content["shell"], strict=True):
        solved = f"{whole['solved_at']:,}" if whole["solved_at"] else "not solved"
        rows.append([f"`{whole['command']}`", kernels, f"{whole['seconds']:.1f}", solved, f"{whole['score']:.1f}"])
    return table(["command", "kernels", "seconds", "solved at step", "mean return after it"], rows, words=2)


def draw(content: Content, path: Path) -> None:
    """Each system between SB3's rate and the processor's limit, into `path`.png and `path`.pdf."""
    shapes = list(content["shapes"])
    with canvas(6.4, 3.6, font_size=10) as figure:
        axes = figure.subplots()
        for name, (color, marker) in _STYLES.items():
            rates, limit = _rates(content, name), name == LIMIT
            if not rates:
                continue
            at = [shapes.index(shape) for shape in rates]
            axes.plot(
                at, [_median(rates, shape) for shape in rates], ls=":" if limit else "-", lw=1, color=color,
                marker=marker, ms=14 if limit else 6, mew=2 if limit else 0,
                label=f"{name} (two cores)" if name == "rejax" else name,
            )  # fmt: skip
            for x, rate in zip(at, rates.values(), strict=True):
                axes.plot([x] * len(rate["each"]), rate["each"], ".", ms=2, color=color)
        axes.set_yscale("log")
        axes.set_xticks(range(len(shapes)), shapes)
        title = f"CartPole-v1, one core, medians of {content['repeats']} repeats (small dots)"
        finish(axes, "environments × steps per update", "environment steps per second", title)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
        save(figure, path)
