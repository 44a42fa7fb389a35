"""The suite of environments without a recipe, as `python -m rl.compare --suite unseen` trains it."""

from collections.abc import Sequence

from agents.settings import A2CSettings
from envs import Variant
from rl import config
from rl.config import RunSettings
from rl.launch import Line, prepare
from rl.suites.training import Suite
from rl.unseen import CHALLENGES
from rl.unseen.report import as_json, draw, table


def line(env_id: str, assignments: Sequence[str]) -> Line | None:
    """None where a recipe ships, which `rl.train` would take."""
    if config.recipe(env_id) is not None:
        return None
    own = [*CHALLENGES[env_id].settings, *assignments]
    return prepare("defaults", "a2c", env_id, (A2CSettings, RunSettings), None, own, None)


def as_trained(line: Line) -> Variant:
    return line.variant


UNSEEN = Suite(
    name="unseen",
    about="environments without a recipe at the defaults, beside random actions",
    envs=tuple(CHALLENGES),
    seeds="0-2",
    line=line,
    without="a recipe ships for it",
    variant=as_trained,
    table=table,
    as_json=as_json,
    draw=draw,
)
