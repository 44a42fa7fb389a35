"""Settings drawn by Hypothesis inside, at and beyond the bounds of every type: an agent is built, or refused."""

import math
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Union, cast, get_args, get_origin
from unittest import mock

import hypothesis
from hypothesis import strategies as st

from agents import registry
from agents.maths.schedules import Ramp
from agents.settings.ranges import Range
from agents.settings.run import RunSettings, chosen_settings
from agents.settings.schema import setting_defaults, setting_types
from envs import EnvironmentFailure, memory
from rl.run.parts import build
from rl.run.terminal import MISTAKES
from tests.stress.messages import in_one_line
from tests.stress.trainings import needs

EXAMPLES = 100  # per attack
ENVS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")
_REPEATING = ("n_epochs", "discriminator_steps", "peers")  # settings that multiply the number of gradient steps
_WORDS = st.sampled_from(
    ["", "null", "x", "a:b", "γ", "[1, 2]", "{a: 1}", "linear(1, 0)", "-1", "1e999", "nan", "9" * 400]
)
_ANY = st.one_of(
    _WORDS, st.integers(), st.floats(), st.booleans(), st.text(max_size=9), st.lists(st.integers(), max_size=3)
)
_RAMPS = st.builds("{}({}, {})".format, st.sampled_from(["linear", "cosine", "exponential"]), st.floats(), st.floats())


def values(kind: object) -> st.SearchStrategy[object]:
    """Values of a type, and a few of other types."""
    return st.one_of(_right(kind), _right(kind), _right(kind), _right(kind), _ANY)


def _right(kind: object) -> st.SearchStrategy[object]:
    if get_origin(kind) is Annotated:
        return _in_range(*get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of(*map(_right, get_args(kind)))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        return st.lists(_right(get_args(kind)[0]), max_size=3)
    if get_origin(kind) is not None:
        return st.dictionaries(st.text(max_size=3), _ANY, max_size=2)
    small = st.floats(0, 1) | st.sampled_from([0.0, 1.0, -1e-9, 5e-324, 1e-4, 1e30])
    by_type: dict[object, st.SearchStrategy[object]] = {
        bool: st.booleans(), float: small, int: st.integers(-3, 9), str: _WORDS, type(None): st.none(), Ramp: _RAMPS,
    }  # fmt: skip
    return by_type[kind]


def _in_range(kind: object, limits: Range) -> st.SearchStrategy[object]:
    """Values near both bounds, on either side; most are small, so that agents can be built."""
    if kind is not int:
        return st.lists(_right(get_args(kind)[0]), max_size=4) | st.lists(st.just(4), max_size=limits.most + 2)
    bounds = [limits.least - 1, limits.least, limits.most, limits.most + 1]
    return st.integers(limits.least, min(limits.least + 8, limits.most)) | st.sampled_from(bounds)


@cache
def layers(agent: str) -> st.SearchStrategy[dict[str, object]]:
    """Up to six settings of the agent and its run."""
    kinds = setting_types(*registry.kinds(agent), RunSettings)
    pairs = st.one_of(*(st.tuples(st.just(key), values(kind)) for key, kind in kinds.items()))
    return st.lists(pairs, max_size=6).map(dict)


def attack(number: int, room: Path) -> str:
    """A hundred choices of settings, as flags: the agent learns for one step, or one line says what does not fit."""
    agent, env_id = registry.NAMES[number % len(registry.NAMES)], ENVS[number // len(registry.NAMES) % len(ENVS)]
    env_id = "CartPole-v1" if needs(agent, room) else env_id

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )  # fmt: skip
    @hypothesis.given(layers(agent))
    def choose(layer: dict[str, object]) -> None:
        one_choice(agent, env_id, {**needs(agent, room), **layer})

    with mock.patch.object(
        memory, "_machine_memory", return_value=2**26
    ):  # larger ones are refused before they are built
        choose()
    return "built or refused in one line"


def _updates(settings: Mapping[str, object], rows: int) -> float:
    """The number of gradient steps on a rollout."""
    size, *others = (cast(int, settings.get(name) or 1) for name in ("batch_size", *_REPEATING))
    return rows / min(size, rows) * math.prod(others)


def one_choice(agent: str, env_id: str, layer: dict[str, object]) -> None:
    types_ = setting_types(*registry.kinds(agent), RunSettings)
    try:
        chosen = chosen_settings(types_, env_id, agent, None, [f"{key}={value}" for key, value in layer.items()])
        if chosen.get("backend") == "async":  # each process takes a second
            chosen["backend"] = "sync"
        built, _ = build(agent, env_id, chosen)
    except MISTAKES as error:
        in_one_line(error, "")
        return
    try:
        rows = built.n_steps * built.worlds.num_envs
        if rows < 10_000 and _updates({**setting_defaults(*registry.kinds(agent)), **chosen}, rows) < 500:
            built.learn(rows)
    except (FloatingPointError, EnvironmentFailure) as error:  # a learning rate of 1e30; action masks that are absent
        in_one_line(error, "")
    finally:
        built.worlds.close()
