"""Every setting is a flag of `python -m rl.train`, and --help says what it does."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

import rl.run.flags
import rl.train
from agents import registry
from agents.settings.documentation import documentation
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, setting_types
from agents.settings.values import text_of
from rl.run.flags import flag_of
from tests.conftest import Command
from tests.runs import run_of

SHORT = ["--total-timesteps", "160", "--eval-episodes", "1"]


def said(command: Command, *argv: str) -> str:
    """The help text, without line breaks."""
    status, out, err = command(rl.train, *argv)
    assert (status, err) == (0, "")
    return out


@pytest.mark.parametrize("agent", registry.NAMES)
def test_help_has_a_line_with_the_default_of_every_setting(
    command: Command, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = said(command, "--agent", agent, "--help")
    kinds = (*registry.kinds(agent), RunSettings)
    for name, default in setting_defaults(*kinds).items():
        ((words, shown),) = re.findall(rf"^  {flag_of(name)} \S+\s+(\S.*) \(default (.*)\)$", text, re.MULTILINE)
        assert len(words) > 10
        assert shown == (f"{default:g}" if isinstance(default, float) else text_of(default))


def test_help_has_groups(command: Command) -> None:
    text = said(command, "--help")
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert titles[2:] == [
        "Steps", "Environments", "The update", "Scaling of observations and rewards", "Networks", "Computation",
        "Step size and entropy (not in Stable-Baselines3)", "The run", "Evaluation", "Watching", "Stopping",
    ]  # fmt: skip
    assert "Traceback" not in text


def test_sources_are_read_for_help_only(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(cls: type) -> dict[str, object]:
        raise AssertionError("it reads sources")

    monkeypatch.setattr(rl.run.flags, "documentation", read)
    assert command(rl.train, "CartPole-v1", *SHORT, "--out", tmp_path)[0] == 0


def test_flags_become_settings_and_come_before_set(command: Command, tmp_path: Path) -> None:
    argv = ["--gamma", "0.98", "--set", "gamma=0.5", "--normalize-observations", "--normalize-advantage", "false"]
    argv += ["--net-arch", "32,16", "--learning-rate", "linear(1e-3, 0)", "--max-policy-shift", "null"]
    argv += ["--num-envs", "2", "--n-steps", "4", "--env-kwargs", "{sutton_barto_reward: true}"]
    assert command(rl.train, "CartPole-v1", *SHORT, *argv, "--out", tmp_path)[::2] == (0, "")
    config = yaml.safe_load((run_of(tmp_path) / "config.yaml").read_text(encoding="utf-8"))
    chosen = {
        "gamma": 0.98, "normalize_observations": True, "normalize_advantage": False, "net_arch": [32, 16],
        "learning_rate": "linear(0.001, 0.0)", "max_policy_shift": None, "num_envs": 2, "n_steps": 4,
        "env_kwargs": {"sutton_barto_reward": True}, "total_timesteps": 160, "eval_episodes": 1,
    }  # fmt: skip
    assert {key: config[key] for key in chosen} == chosen
    status, out, err = command(rl.train, "--resume", run_of(tmp_path), "--gamma", "0.9")
    assert (status, out) == (2, "")
    assert "--resume uses the run's own settings" in err


def test_flags_of_the_agent_that_is_named(command: Command, tmp_path: Path) -> None:
    argv = ["CartPole-v1", *SHORT, "--trace-decay", "0.5", "--out", str(tmp_path)]
    assert command(rl.train, *argv, "--agent", "stream")[::2] == (0, "")
    status, _, err = command(rl.train, *argv)
    assert (status, "unrecognized arguments: --trace-decay 0.5" in err) == (2, True)


def test_list(command: Command) -> None:
    text = said(command, "--list")
    assert re.search(rf"agents  {', '.join(registry.NAMES)}, .*module:Class", text)
    assert re.search(r"recipes  ALE/Pong-v5, Acrobot-v1, .*CartPole-v1", text)
    assert re.search(r"compiled  .*CartPole-v1", text)
    assert "sb3-defaults" not in text


@dataclasses.dataclass
class Base:
    # Speed
    fast: bool = False  # runs 100 % of the time
    # Size
    size: int = 3  # in rooms


@dataclasses.dataclass
class House(Base):
    door: str = "red"
    fast: bool = True
    size: int = 4  # in floors


def test_documentation_reads_comments_and_headings() -> None:
    found = documentation(House)
    assert {name: tuple(x) for name, x in found.items()} == {
        "fast": ("Speed", "runs 100 % of the time"),
        "size": ("Size", "in floors"),
        "door": ("House", ""),
    }


def test_a_class_without_a_source_says_nothing() -> None:
    made = dataclasses.make_dataclass("Made", [("size", int, 3)])
    assert documentation(made) == {}
    assert list(setting_types(made)) == ["size"]
