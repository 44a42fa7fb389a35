"""Numbers that README.md states are those of the files in results/."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

README = " ".join(Path("README.md").read_text(encoding="utf-8").replace("**", "").split())


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
    cold, warm = (row["seconds"] for row in cast("list[dict[str, float]]", content["shell"])[:2])
    return [
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


def adaptation() -> list[str]:
    lines = cast("list[dict[str, object]]", read("Acrobot-v1/learning-rate.json")["lines"])
    found = {line["label"]: cast("dict[str, dict[str, int]]", line["statistics"])["steps"] for line in lines}
    constant, adapted = found["constant 7e-3"], found["adaptive from 7e-3"]
    return [
        f"−100 is reached by {constant['hits']} of {constant['runs']} seeds with the constant rate and by "
        f"{adapted['hits']} of {adapted['runs']} with the adapted one"
    ]


@pytest.mark.parametrize("claims", [collapse, bench, equivalence, adaptation])
def test_readme(claims: Callable[[], list[str]]) -> None:
    for claim in claims():
        assert claim in README, claim
