"""Numbers stated in README.md and docs/ equal those in results/."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import cast

import pytest

from rl.experiments.suites.published import PUBLISHED_PPO

FILES = ("README.md", "docs/findings.md", "docs/training.md", "docs/clusters.md", "docs/streaming.md")
SAID = " ".join(" ".join(Path(file).read_text(encoding="utf-8").replace("**", "").split()) for file in FILES)

_BOUNDS = ("value", "low", "high")
Rates = dict[str, dict[str, list[float]]]  # case → system → steps per second


def read(name: str) -> dict[str, object]:
    return cast("dict[str, object]", json.loads((Path("results") / name).read_text(encoding="utf-8")))


def collapse() -> list[str]:
    content = read("collapse/collapse.json")
    conditions = cast("dict[str, dict[str, dict[str, dict[str, float]]]]", content["conditions"])
    bias = cast("dict[str, dict[str, float]]", content["bias after the fall"])

    def share(label: str, what: str = "failed") -> str:
        return f"{100 * conditions[label]['outcome'][what]['value']:.0f} %"

    return [
        f"{share('baseline')} of 50 fresh seeds score below 50 after 100,000 steps",
        f"and {share('baseline', 'succeeded')} score 475 or more",
        f"without it, {share('no clip')} of the runs fail",
        f"only the critic's gradient, {share('clip scales V only')} of 20 runs fail",
        f"lies {bias['baseline']['value']:.1f} above the true discounted return in the mean, and "
        f"{-bias['no clip']['value']:.1f} below it",
        f"with ReLU {share('ReLU')} fail",
    ]


def bench() -> list[str]:
    content = read("bench/bench.json")
    worlds = cast("dict[str, dict[str, dict[str, float]]]", content["python"])
    slower = [100 * (1 - rates["fused"]["median"] / rates["random"]["median"]) for rates in worlds.values()]
    shapes = cast("dict[str, dict[str, dict[str, float]]]", content["shapes"]).values()
    faster = [shape["ours, fused"]["median"] / shape["SB3"]["median"] for shape in shapes]
    torch = [shape["ours, torch"]["median"] / shape["SB3"]["median"] for shape in shapes]
    python = [
        rates["fused"]["median"] / rates["SB3"]["median"] for name, rates in worlds.items() if "CartPole" not in name
    ]
    ppo = cast("dict[str, dict[str, list[float]]]", read("bench/ppo.json"))
    of_ppo = {name: median(row["fused"]) / median(row["SB3"]) for name, row in ppo.items() if "epochs" in name}
    cartpole = [ratio for name, ratio in of_ppo.items() if "CartPole" in name]
    others = python + [ratio for name, ratio in of_ppo.items() if "CartPole" not in name]
    cold, warm = (row["seconds"] for row in cast("list[dict[str, float]]", content["shell"])[:2])
    return [
        f"on CartPole-v1, {min(faster):.0f} to {max(faster):.0f} times as fast with A2C and {min(cartpole):.0f} to "
        f"{max(cartpole):.0f} times with PPO",
        f"whose own steps take time, {min(others):.0f} to {max(others):.0f} times",
        f"is {min(torch):.1f} to {max(torch):.1f} times as fast as Stable-Baselines3 on CartPole-v1",
        f"{min(slower):.0f} to {max(slower):.0f} % slower than stepping them with random actions",
        f"which took {cold - warm:.0f} seconds on the machine of",
    ]


def equivalence() -> list[str]:
    content = cast("dict[str, dict[str, dict[str, float]]]", read("equivalence.json"))["together"]
    difference, p = content["difference"], content["p"]
    assert not content["equivalent"]
    signed = [f"{difference[name]:+.3f}".replace("-", "−") for name in ("value", "low", "high")]
    return [
        f"difference of normalized scores, {signed[0]} [{signed[1]}, {signed[2]}], lies within the margin",
        f"higher with probability {p['value']:.3f} [{p['low']:.3f}, {p['high']:.3f}]",
        "by its own rule, the test does not show equivalence",
    ]


def zoo() -> list[str]:
    return [
        f"{reached('zoo/zoo.json')[0]} of A2C reach Stable-Baselines3's A2C with the tuned settings of "
        f"rl-baselines3-zoo, {reached('zoo/zoo.json')[2]} of them with overlapping intervals",
        f"behind: {reached('zoo/zoo.json')[1]}). Not counted are {uninformative('Ant-v5')}, where standing still "
        f"scores more than either, and {uninformative('Swimmer-v5')}, where the interval of Stable-Baselines3's A2C "
        f"includes the score of random actions. {reached('zoo-ppo/zoo-ppo.json')[0]} of PPO reach its PPO",
        f"behind: {reached('zoo-ppo/zoo-ppo.json')[1]}).",
    ]


def uninformative(env: str) -> str:
    rows = cast("list[dict[str, dict[str, object] | None]]", read("zoo/zoo.json")["environments"])
    found = {str(row["env"]): row["says_nothing"]["name"] for row in rows if row["says_nothing"]}
    assert found == {"Swimmer-v5": "random actions", "Ant-v5": "standing still"}
    return env


def reached(file: str) -> tuple[str, str, int]:
    """How many environments of a suite reach the bar, where that is informative; which do not; of those that do, how
    many have intervals that overlap."""
    found, behind, near = 0, list[str](), 0
    for row in cast("list[dict[str, dict[str, dict[str, float]]]]", read(file)["environments"]):
        if row["says_nothing"] is not None or row["statistics"] is None:
            continue
        ours, bar = row["statistics"]["mean"], row["bar"]["score"]
        found += 1
        if ours["value"] < bar["value"]:
            behind.append(str(row["env"]))
        elif ours["value"] > bar["value"]:
            near += ours["low"] <= bar["high"]
    return f"{found - len(behind)} of {found}", " and ".join(behind), near


def adaptation() -> list[str]:
    lines = cast("list[dict[str, object]]", read("Acrobot-v1/learning-rate.json")["lines"])
    found = {line["label"]: cast("dict[str, dict[str, int]]", line["statistics"])["steps"] for line in lines}
    constant, adapted = found["constant 7e-3"], found["adaptive from 7e-3"]
    return [
        f"−100 is reached by {constant['hits']} of {constant['runs']} seeds with the constant rate and by "
        f"{adapted['hits']} of {adapted['runs']} with the adapted one"
    ]


def cores() -> list[str]:
    content = read("bench/cores.json")
    message = cast("dict[str, list[float]]", content["message"])
    cases = cast("dict[str, dict[str, list[dict[str, float]]]]", content["cases"])

    def ratio(system: str, case: str) -> str:
        rates = [median(one["rate"] for one in cases[f"fused, {case}"][name]) for name in (system, "one thread")]
        return f"{rates[0] / rates[1]:.2f}"

    return [
        f"two ranks train {ratio('two ranks', '8 × 64')} times as fast as one process with one thread at 8 × 64, and "
        f"{ratio('two ranks', '8 × 5')} times at 8 × 5 (environments × steps, fused engine); through sockets, "
        f"{ratio('two ranks, through sockets', '8 × 64')} and {ratio('two ranks, through sockets', '8 × 5')} times",
        f"two threads train {ratio('two threads', '8 × 5')} times as fast as one",
        f"A message of {cast(float, message['bytes']) / 1e6:.2f} MB, a checkpoint of 10,000 parameters, takes it "
        f"{1e3 * median(message['seconds']):.1f} ms",
    ]


def devices() -> list[str]:
    content = read("bench/devices.json")
    images, widths = (
        [{system: median(each) for system, each in rates.items()} for rates in cast(Rates, content[part]).values()]
        for part in ("images", "widths")
    )
    gains = [rates["ours, cuda"] / rates["ours, cpu"] for rates in images]
    beside = [rates["ours, cuda"] / rates["SB3, cuda"] for rates in images]
    narrow, wider, *_ = (rates["cuda"] / rates["cpu"] for rates in widths)
    gain = f"{min(gains):.1f} to {max(gains):.1f} times as fast"
    assert narrow < 1
    assert [*cast(Rates, content["widths"])][:2] == ["64", "256"]
    return [
        f"From images that is {gain} as on the CPU of the same machine, and {min(beside):.2f} to {max(beside):.2f} "
        "times as fast as Stable-Baselines3 on the GPU",
        f"training from images is {gain} on the GPU as on the 16 processor cores, and PPO with two layers of 64 units "
        f"is {narrow:.2f} times as fast, of 256 units {wider:.2f} times",
    ]


def streaming() -> list[str]:
    """A row per environment and, for CartPole-v1, how many seeds reach 475."""

    def steps(line: dict[str, object]) -> int:
        return cast("dict[str, int]", line["settings"])["total_timesteps"]

    def mean(line: dict[str, object]) -> float:
        return cast("dict[str, dict[str, float]]", line["statistics"])["mean"]["value"]

    def score(line: dict[str, object]) -> str:
        value, low, high = (cast("dict[str, dict[str, float]]", line["statistics"])["mean"][x] for x in _BOUNDS)
        text = f"{value:.1f} [{low:.1f}, {high:.1f}]".replace("-0.0", "0.0")
        return text.replace("-", "−")

    def cell(line: dict[str, object]) -> str:
        return f"{steps(line):,} | {score(line)}"

    rows = []
    for env in ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0"):
        found = cast("list[dict[str, object]]", read(f"{env}/streaming.json")["lines"])
        lines = {line["label"]: line for line in found}
        link = f"[{env}](../results/{env}/streaming.md)"
        rows.append(f"| {link} | {cell(lines['stream'])} | {cell(lines['A2C, recipe'])} |")
        if env == "CartPole-v1":
            scores = [cast("list[dict[str, float]]", lines[x]["runs"]) for x in ("stream", "stream, 15,000 steps")]
            long, short = (sum(run["eval_mean"] >= 475 for run in runs) for runs in scores)
            rows.append(f"{short} of 20 seeds score at least 475 on {env} after 15,000 steps, {long} after 50,000")
    higher = ("HalfCheetah-v5", "Swimmer-v5", "Humanoid-v5")  # the mean of A2C's recipe
    rows.append(f"In {higher[0]}, {higher[1]} and {higher[2]}, A2C's mean is higher")
    for env in (*higher, "Hopper-v5", "Walker2d-v5", "Ant-v5"):
        ours, recipe, *others = cast("list[dict[str, object]]", read(f"{env}/streaming.json")["lines"])
        ppo = PUBLISHED_PPO.get(env)
        published = "" if ppo is None else f"{ppo.mean:.0f} ± {ppo.std:.0f} "
        link = f"[{env}](../results/{env}/streaming.md)"
        rows.append(f"| {link} | {cell(ours)} | {cell(recipe)} | {published}|")
        if env in ("Hopper-v5", "Ant-v5"):  # in README
            rows.append(f"{score(ours)} in {env}, our A2C's recipe {score(recipe)} after its {steps(recipe):,} steps")
        rows += [f"trained here on the same seeds of {env}, scores {score(line)}" for line in others]
        rows += [f"Stable-Baselines3's PPO with rl-zoo's settings {score(line)}" for line in others]
        assert (mean(recipe) > mean(ours)) is (env in higher)
    lander = cast("list[dict[str, object]]", read("LunarLander-v3/streaming.json")["lines"])
    return [*rows, *(f"| [LunarLander-v3](../results/LunarLander-v3/streaming.md) | {cell(line)} |" for line in lander)]


@pytest.mark.parametrize("claims", [collapse, bench, equivalence, adaptation, zoo, cores, devices, streaming])
def test_claims(claims: Callable[[], list[str]]) -> None:
    for claim in claims():
        assert claim in SAID, claim
