"""The suite of all recipes, as `python -m rl.compare --suite zoo` trains it."""

from collections.abc import Sequence

from agents.settings import A2CSettings
from envs import Variant
from rl import config
from rl.config import RunSettings
from rl.launch import Line, prepare
from rl.suites.training import Suite
from rl.zoo import PUBLISHED
from rl.zoo.figure import draw
from rl.zoo.report import as_json, table


def line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None where no recipe ships."""
    recipe = config.recipe(env_id)
    if recipe is None:
        return None
    return prepare("recipe", "a2c", env_id, (A2CSettings, RunSettings), recipe, assignments, None)


def registered(line: Line) -> Variant:
    """With the registered time limit, which published scores have."""
    return line.variant._replace(max_episode_steps=None)


ZOO = Suite(
    name="zoo",
    about="every recipe beside rl-baselines3-zoo",
    envs=tuple(PUBLISHED),
    seeds="0-4",
    line=line,
    without="no recipe ships for it",
    variant=registered,
    table=table,
    as_json=as_json,
    draw=draw,
)
