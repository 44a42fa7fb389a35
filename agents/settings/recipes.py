"""The settings that ship with the package: a recipe per environment, and the other files of configs/."""

from pathlib import Path

from agents.settings.a2c import A2CSettings
from agents.settings.files import directory_name, read_yaml
from agents.settings.run import SECTIONS, RunSettings, chosen_settings, only_sections
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError


def recipe_file(env_id: str, agent: str = "a2c") -> Path | None:
    """A2C's tuned settings for this environment; the file may also have a section for an agent in `SECTIONS`.

    For any other agent, its settings for all environments. None if there is no file.
    """
    if agent not in ("a2c", *SECTIONS):
        return shipped_file(f"{agent}.yaml")
    file = shipped_file(f"{directory_name(env_id)}.yaml")
    settings = read_yaml(file) if file else {}
    there = agent in settings if agent in SECTIONS else not only_sections(settings)
    return file if there else None


def recipe_ids() -> list[str]:
    """The environments that have a recipe."""
    sample = shipped_file("sb3-defaults.yaml")
    stems = [] if sample is None else sorted(path.stem for path in sample.parent.glob("*-v[0-9]*.yaml"))
    return [stem.replace("ALE-", "ALE/", 1) for stem in stems]  # the only namespace in use


def shipped_file(name: str) -> Path | None:
    """The file of this name in configs/, or None."""
    package = Path(__file__).parents[1]
    candidates = (package / "configs" / name, package.parent / "configs" / name)  # installed; in a checkout
    return next((path for path in candidates if path.is_file()), None)


def recipe_settings(env_id: str, agent: str = "a2c", kind: type = A2CSettings) -> dict[str, object]:
    """An agent's settings in the recipe of an environment. kind: the dataclass with these fields.

    Raises ConfigError if there is no recipe.
    """
    file, types = recipe_file(env_id, agent), setting_types(kind)
    if file is None:
        raise ConfigError(f"no recipe of {agent} ships for {env_id!r}; pass the settings as keywords")
    chosen = chosen_settings(types | setting_types(RunSettings), env_id, agent, file)
    return {key: value for key, value in chosen.items() if key in types}
