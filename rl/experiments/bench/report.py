"""The benchmark's tables and its figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rl.experiments.tables import paragraph, row, rule

SB3, TORCH, FUSED = "SB3", "ours, torch", "ours, fused"

GYMNASIUM, NATIVE = "stepping only, Gymnasium", "stepping only, native"

LIMIT = "matrix products only"

_COLORS = {SB3: "#d55e00", TORCH: "#56b4e9", FUSED: "#0072b2", LIMIT: "#000000", "rejax": "#009e73"}

_MARKERS = {SB3: "s", TORCH: "^", FUSED: "o", LIMIT: "_", "rejax": "D"}

Content = Mapping[str, Any]


def tables(content: Content) -> str:
    """All of it as Markdown."""
    lines = ["# How fast training is", "", _about(content), "", "## One core, CartPole-v1", "", *_shapes(content), ""]
    lines += ["## Sixteen seeds of 8 × 5 on both cores", "", *_seeds(content), ""]
    lines += ["## Environments that exist in Python only", "", *_python(content), ""]
    lines += ["## From the shell to a solved CartPole-v1", "", *_shell(content), ""]
    lines += ["![steps per second of each system](bench.png)", "", f"`{content['command']}`", ""]
    return "\n".join(lines)


def _about(content: Content) -> str:
    return paragraph(f"""Environment steps a second: medians of {content["repeats"]} repeats (3 for rejax and for
        sixteen seeds), in which all systems of a
        table took turns. One thread each (torch, OpenMP and BLAS pinned to 1). The same hyper-parameters and networks
        everywhere: SB3's defaults, two tanh networks of 64-64; columns are environments × steps an update. Compilation
        is not counted. {content["machine"]}.""")


def _median(rates: Mapping[str, Any], name: str) -> float:
    return cast(float, rates[name]["median"])


def _shapes(content: Content) -> list[str]:
    shapes = content["shapes"]
    rows = [row(["", *shapes]), rule(1, len(shapes))]
    for name in (SB3, TORCH, FUSED, "rejax", GYMNASIUM, NATIVE, LIMIT):
        source = {shape: content["rejax"] if name == "rejax" else shapes[shape] for shape in shapes}
        cells = [
            f"{_median(source[s], s if name == 'rejax' else name):,.0f}"
            if (s if name == "rejax" else name) in source[s]
            else ""
            for s in shapes
        ]
        if any(cells):
            rows.append(row([name, *cells]))
    for name, other in ((FUSED, SB3), (FUSED, TORCH), (FUSED, LIMIT)):
        ratios = [_median(rates, name) / _median(rates, other) for rates in shapes.values()]
        rows.append(
            row([f"**{name} ÷ {other}**", *(f"{ratio:.2g}" if ratio < 1 else f"{ratio:.0f}" for ratio in ratios)])
        )
    note = """“Matrix products only” does the products of an update, of the same shapes and by the same kernel, and
        nothing else: no tanh, no optimizer, no environment."""
    if content["rejax"]:
        note += """ rejax is its PPO with one epoch and one minibatch, nearly A2C, compiled by JAX, on both cores; its
            environment is gymnax's CartPole."""
    return [*rows, "", paragraph(note)]


def _seeds(content: Content) -> list[str]:
    rates = dict(content["seeds"])
    if "16 seeds of 8 × 5" in content["rejax"]:
        rates["rejax, vmap over seeds"] = content["rejax"]["16 seeds of 8 × 5"]
    best = max((name for name in rates if name.startswith("ours")), key=lambda name: _median(rates, name))
    rows = [row(["", "steps per second, all seeds together", f"{best} is faster by"]), rule(1, 2)]
    for name in rates:
        ratio = _median(rates, best) / _median(rates, name)
        rows.append(row([name, f"{_median(rates, name):,.0f}", "" if name == best else f"{ratio:.2f}"]))
    return rows


def _python(content: Content) -> list[str]:
    rows = [
        row(["environment, shape", "random", "ours, fused", "ours, torch", "SB3", "**fused ÷ random**"]),
        rule(1, 5),
    ]
    for name, rates in content["python"].items():
        cells = [f"{_median(rates, key):,.0f}" for key in ("random", "fused", "torch", "SB3")]
        rows.append(row([name, *cells, f"{_median(rates, 'fused') / _median(rates, 'random'):.2f}"]))
    note = """“Random” steps Gymnasium's synchronous vector environment with random actions and learns nothing.
        CartPole-v1 is taken from Gymnasium here, not native."""
    return [*rows, "", paragraph(note)]


def _shell(content: Content) -> list[str]:
    rows = [row(["command", "kernels", "seconds", "solved at step", "evaluation"]), rule(2, 3)]
    for kernels, whole in zip(("compiled by it", "on disk", ""), content["shell"], strict=True):
        solved = f"{whole['solved_at']:,}" if whole["solved_at"] else "not solved"
        rows.append(row([f"`{whole['command']}`", kernels, f"{whole['seconds']:.1f}", solved, f"{whole['score']:.1f}"]))
    return [*rows, "", paragraph("Importing, training, evaluation on 200 episodes and drawing included.")]


def figure(content: Content, path: Path) -> None:
    """Each system between SB3 and the processor's limit: PNG and PDF."""
    from matplotlib.figure import Figure  # costs 0.7 s: only for those who draw

    drawing = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = drawing.subplots()
    shapes = list(content["shapes"])
    for name in (LIMIT, FUSED, "rejax", TORCH, SB3):
        rates = {s: content["rejax"].get(s) if name == "rejax" else content["shapes"][s].get(name) for s in shapes}
        known = [(i, rates[s]) for i, s in enumerate(shapes) if rates[s]]
        if not known:
            continue
        positions, medians = [i for i, _ in known], [rate["median"] for _, rate in known]
        axes.plot(
            positions, medians, ls=":" if name == LIMIT else "-", lw=1, color=_COLORS[name], marker=_MARKERS[name],
            ms=14 if name == LIMIT else 6, mew=2 if name == LIMIT else 0,
            label=f"{name} (two cores)" if name == "rejax" else name,
        )  # fmt: skip
        for i, rate in known:
            axes.plot([i] * len(rate["each"]), rate["each"], ".", ms=2, color=_COLORS[name])
    axes.set_yscale("log")
    axes.set_xticks(range(len(shapes)), shapes)
    axes.set_xlabel("environments × steps an update")
    axes.set_ylabel("environment steps per second")
    axes.grid(axis="y", lw=0.3)
    axes.set_title(f"CartPole-v1, one core, medians of {content['repeats']} repeats (small dots)", fontsize="medium")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    drawing.savefig(path.with_suffix(".png"), dpi=200)
    drawing.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
