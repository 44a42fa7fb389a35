"""A recipe contains A2C's settings, and those of other agents in sections."""

from pathlib import Path

import pytest

from agents import A2C, PPO, StreamAC
from agents.settings import recipes
from agents.settings.recipes import recipe_file
from agents.settings.run import settings_for
from agents.settings.values import ConfigError


def test_an_agent_takes_its_section(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("gamma: 0.98\nstream:\n  trace_decay: 0.8\n")
    assert settings_for("a2c", file) == settings_for("gail", file) == {"gamma": 0.98}
    assert settings_for("stream", file) == {"trace_decay": 0.8}
    file.write_text("trace_decay: 0.5\n")
    assert settings_for("stream", file) == {"trace_decay": 0.5}, "a file for one agent needs no section"


def test_a_section_holds_settings(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("stream: 3\n")
    with pytest.raises(ConfigError, match="stream must hold settings as `key: value` lines, not 3"):
        settings_for("stream", file)


def test_a_file_without_settings_of_an_agent_is_refused(tmp_path: Path) -> None:
    """It would be read in vain."""
    file = tmp_path / "found.yaml"
    file.write_text("env: CartPole-v1\nppo:\n  gamma: 0.9\n")
    assert settings_for("sb3-ppo", file) == {"gamma": 0.9}
    for agent in ("a2c", "stream"):
        with pytest.raises(ConfigError, match=rf"found.yaml has settings of ppo only, none of {agent}: choose"):
            settings_for(agent, file)


def test_a_file_of_other_sections_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `rl.sweep --agent ppo --write` makes it for a new environment."""
    (tmp_path / "New-v0.yaml").write_text("ppo:\n  gamma: 0.9\n")
    monkeypatch.setattr(recipes, "shipped_file", lambda name: tmp_path / name if name == "New-v0.yaml" else None)
    found = {agent: recipe_file("New-v0", agent) for agent in ("a2c", "ppo", "stream")}
    assert found == {"a2c": None, "ppo": tmp_path / "New-v0.yaml", "stream": None}


def test_recipes_of_an_agent_without_a_section() -> None:
    assert recipe_file("CartPole-v1") is not None
    assert recipe_file("NoSuchEnvironment-v0", "stream") is None
    assert recipe_file("CartPole-v1", "gail") == recipe_file("gail")


def test_each_algorithm_has_its_own_recipe() -> None:
    a2c, ppo, stream = (cls.from_recipe("LunarLander-v3", seed=3) for cls in (A2C, PPO, StreamAC))
    assert (a2c.num_envs, ppo.num_envs, stream.num_envs) == (4, 16, 1)
    assert (ppo.n_steps, ppo.n_epochs, ppo.seed) == (1024, 4, 3)
    with pytest.raises(ConfigError, match="no recipe of ppo ships for 'FrozenLake-v1'; pass the settings as keywords"):
        PPO.from_recipe("FrozenLake-v1")
