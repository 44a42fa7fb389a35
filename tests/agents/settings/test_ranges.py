"""Every integer setting has a range, declared once and enforced for flags, files and Python."""

from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest

from agents import registry
from agents.a2c import A2C
from agents.settings.ranges import Count, Range
from agents.settings.run import RunSettings
from agents.settings.schema import merge_layers, setting_types
from agents.settings.values import ConfigError
from envs import EnvironmentUsageError, memory
from rl import train
from tests.agents.reinforce import Reinforce
from tests.conftest import Command

TYPES = {
    name: kind for agent in registry.NAMES for name, kind in setting_types(*registry.kinds(agent), RunSettings).items()
}


def ranges(kind: object) -> list[tuple[object, Range | None]]:
    """(type, range) of every integer and list of integers in a type; None if no range is declared."""
    if get_origin(kind) is Annotated:
        inner, limits = get_args(kind)
        return [(inner, limits), *(ranges(get_args(inner)[0]) if get_args(inner) else [])]
    return [(kind, None)] if kind is int else [found for part in get_args(kind) for found in ranges(part)]


WHOLE = {name: ranges(kind)[0] for name, kind in TYPES.items() if ranges(kind)}


def test_every_whole_number_has_a_range() -> None:
    assert [name for name, kind in TYPES.items() if any(limits is None for _, limits in ranges(kind))] == []
    assert {"n_steps", "num_envs", "net_arch", "gru_size", "frame_stack", "peers", "total_timesteps"} <= WHOLE.keys()
    assert len(WHOLE) == 31


def test_a_subclass_that_replaces_a_default_keeps_the_range() -> None:
    assert setting_types(Reinforce)["n_steps"] == Count
    with pytest.raises(ConfigError, match="n_steps must be at least 1, got 0"):
        Reinforce("CartPole-v1", n_steps=0)


@pytest.mark.parametrize("name", WHOLE)
def test_numbers_outside_are_refused(name: str) -> None:
    kind, limits = WHOLE[name]
    assert limits is not None
    inside: tuple[object, ...] = (limits.least, limits.most)
    outside: tuple[object, ...] = (limits.least - 1, limits.most + 1, 2**63, 10**5000, "1e300", f"{2**64}")
    if kind is not int:
        inside, outside = ([], [65_536] * 64), ([1] * 65, [0], [2**63], "[65537]")
    for value in inside:
        assert merge_layers(TYPES, [("here", {name: value})])
    for value in outside:
        with pytest.raises(ConfigError, match=f"^here: {name} must be ") as raised:
            merge_layers(TYPES, [("here", {name: value})])
        assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("n_steps=0", "n_steps must be at least 1, got 0"),
        ("n_steps=2147483648", "n_steps must be at most 10,000,000, got 2147483648"),
        ("num_envs=100000", "num_envs must be at most 65,536 or null, got 100000"),
        ("eval_episodes=2147483648", "eval_episodes must be at most 1,000,000, got 2147483648"),
        (f"total_timesteps={2**63}", f"total_timesteps must be at most 999,999,999,999, got {2**63}"),
        ("seed=-1", "seed must be at least 0, got -1"),
        ("net_arch=[64, 0]", "net_arch must be a list, each item at least 1 or a mapping"),
        ("net_arch=[65536, 65536, 65536]", "the networks need "),
    ],
)  # fmt: skip
def test_flags_and_files(
    setting: str, words: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2 and one line, before anything is written."""
    monkeypatch.setattr(memory, "_machine_memory", lambda: 2**34)
    file = tmp_path / "run.yaml"
    file.write_text(setting.replace("=", ": "), encoding="utf-8")
    for argv in (("--set", setting), ("--config", file)):
        status, out, err = command(train, "CartPole-v1", *argv, "--out", tmp_path / "runs")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert words.replace("'", "") in err.replace("'", "")
    assert not (tmp_path / "runs").exists()


def test_memory_is_estimated_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_machine_memory", lambda: 2**34)
    with pytest.raises(
        ConfigError, match=r"the networks need 96\.0 GiB, and this machine has 16\.0 GiB: lower net_arch"
    ):
        A2C("CartPole-v1", net_arch=(65_536, 65_536))
    with pytest.raises(
        ConfigError, match=r"a rollout of 10,000,000,000 steps needs .* GiB, .*: lower n_steps, num_envs"
    ):
        A2C("CartPole-v1", n_steps=10_000_000, num_envs=1000)
    with pytest.raises(EnvironmentUsageError, match=r"num_envs=60000 with backend=async needs 2,794\.0 GiB"):
        A2C("CartPole-v1", num_envs=60_000, backend="async")
    with pytest.raises(ConfigError, match=r"1024 peers need .* GiB, .*: lower peers, net_arch"):
        registry.build("mutual", "CartPole-v1", {"peers": 1024, "net_arch": (1024, 1024), "engine": "torch"})
    with pytest.raises(ConfigError, match=r"the networks need .* GiB, .*: lower net_arch, gru_size"):
        A2C("CartPole-v1", gru_size=65_536)
    monkeypatch.setattr(memory, "_machine_memory", lambda: None)
    assert memory.shortage(2**80) == ""


def test_this_machine_tells_its_memory() -> None:
    own = memory._machine_memory()
    assert own is None or 2**28 < own < 2**50


COUNTS = ("total_timesteps", "log_interval", "checkpoint_interval", "keep", "eval_episodes", "eval_max_steps")
OF_EVALUATIONS = ("eval_interval_episodes", "eval_patience")


@pytest.mark.parametrize("field", [*COUNTS, *OF_EVALUATIONS])
def test_run_settings_start_at_one(field: str) -> None:
    others = {"eval_interval": 10} if field in OF_EVALUATIONS else {}
    assert getattr(RunSettings(**{field: 1}, **others), field) == 1
    with pytest.raises(ConfigError, match=f"{field} must be at least 1( or null)?, got 0"):
        RunSettings(**{field: 0}, **others)


@pytest.mark.parametrize("field", ["eval_interval", "record_interval"])
def test_intervals_start_at_zero_which_is_never(field: str) -> None:
    assert getattr(RunSettings(**{field: 0}), field) == 0
    with pytest.raises(ConfigError, match=f"{field} must be at least 0, got -1"):
        RunSettings(**{field: -1})
