"""Schedules: numbers and ramps between two numbers; their values, their text, and their effect on an update."""

import math

import numpy as np
import pytest
import torch

from agents import A2C
from agents.maths.schedules import (
    Cosine,
    Exponential,
    Linear,
    Ramp,
    Schedule,
    highest,
    lowest,
    numbers_of,
    stays_below,
    value_at,
)
from agents.rollout import Rollout, collect
from agents.settings.values import ConfigError, convert, plain
from tests.agents.test_optimizer import make

SHAPES = (Linear, Cosine, Exponential)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (7e-4, 0.0, 7e-4),
        (7e-4, 0.9, 7e-4),
        (Linear(7e-4, 0.0), 0.0, 7e-4),
        (Linear(7e-4, 0.0), 0.5, 3.5e-4),
        (Linear(1.0, 3.0), 0.25, 1.5),
        (Linear(2.0, 2.0), 0.3, 2.0),
        (Linear(1.0, 3.0, 0.5), 0.25, 2.0),
        (Linear(1.0, 3.0, 0.5), 0.75, 3.0),
        (Cosine(1.0, 3.0), 0.5, 2.0),
        (Cosine(2.0, 0.0), 0.25, 1 + math.cos(math.pi / 4)),
        (Cosine(2.0, 0.0, 0.5), 0.25, 1.0),
        (Exponential(1.0, 1e-4), 0.5, 1e-2),
        (Exponential(1e-4, 1.0, 0.2), 0.1, 1e-2),
        (Exponential(1e-300, 1e300), 0.5, 1.0),
        (Linear(2.0, 1.0, 1.0, 0.8), 0.8, 2.0),
        (Linear(2.0, 1.0, 1.0, 0.8), 0.9, 1.5),
        (Cosine(3.0, 1.0, 0.75, 0.25), 0.1, 3.0),
        (Cosine(3.0, 1.0, 0.75, 0.25), 0.5, 2.0),
        (Exponential(1.0, 1e-4, 0.5, 0.25), 0.375, 1e-2),
        (Exponential(1.0, 1e-4, 0.5, 0.25), 0.6, 1e-4),
    ],
)
def test_value_at(schedule: Schedule, progress: float, expected: float) -> None:
    assert value_at(schedule, progress) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [1.0, 0.1, 1 / 3])
def test_ramps_go_from_end_to_end_and_stay(shape: type[Ramp], share: float) -> None:
    ramp = shape(0.7, 1e-5, share)
    assert (value_at(ramp, 0.0), value_at(ramp, share), value_at(ramp, 1.0)) == (0.7, 1e-5, 1e-5)
    values = np.array([value_at(ramp, progress) for progress in np.linspace(0, share, 100)])
    assert (np.diff(values) < 0).all()
    assert (lowest(ramp), highest(ramp)) == (values.min(), values.max())


def test_a_whole_line_is_the_plain_formula_to_the_last_bit() -> None:
    for progress in np.random.default_rng(0).random(1000):
        assert value_at(Linear(7e-4, 3e-5), progress) == 7e-4 + (3e-5 - 7e-4) * progress


@pytest.mark.parametrize(("schedule", "expected"), [(0.1, 0.1), (Linear(1.0, 0.5), 0.5), (Linear(-1.0, 2.0), -1.0)])
def test_lowest(schedule: Schedule, expected: float) -> None:
    assert lowest(schedule) == expected


@pytest.mark.parametrize(
    ("schedule", "other", "expected"),
    [
        (1e-3, 2e-3, True),
        (1e-3, 1e-3, False),
        (Linear(1e-2, 1e-4), Linear(2e-2, 2e-4), True),
        (Linear(1e-2, 1e-4), 1e-2, False),
        (Linear(1.0, 0.1), Exponential(1.1, 0.11), False),  # only the ends are in order
        (Exponential(1.0, 0.1), Linear(1.1, 0.11), True),
    ],
)
def test_stays_below(schedule: Schedule, other: Schedule, expected: bool) -> None:
    assert stays_below(schedule, other) == expected


def test_none_is_nan_throughout() -> None:
    assert math.isnan(numbers_of(None)[1])
    assert math.isnan(numbers_of(None)[2])


@pytest.mark.parametrize(
    ("ramp", "text"),
    [
        (Linear(7e-4, 0.0), "linear(0.0007, 0.0)"),
        (Linear(1, 0), "linear(1.0, 0.0)"),
        (Linear(np.float64(1e-20), 1e16, 0.1), "linear(1e-20, 1e+16, 0.1)"),
        (Cosine(0.1 + 0.2, 1 / 3), "cosine(0.30000000000000004, 0.3333333333333333)"),
        (Linear(1.0, 0.0, 1.0, 0.85), "linear(1.0, 0.0, 1.0, 0.85)"),
        (Exponential(7e-4, 7e-6, 1 / 3), "exponential(0.0007, 7e-06, 0.3333333333333333)"),
    ],
)
def test_text_and_back(ramp: Ramp, text: str) -> None:
    assert plain(ramp) == text
    back = convert(text, Schedule | None)
    assert back == ramp
    assert type(back) is type(ramp)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((math.inf, 1.0), "needs finite ends"),
        ((1.0, math.nan), "needs finite ends"),
        ((1.0, 2.0, 0.0), "needs a share of training above 0 and up to 1"),
        ((1.0, 2.0, 1.5), "needs a share of training above 0 and up to 1"),
        ((1.0, 2.0, 0.5, 0.5), "needs to begin at 0 or later, and before 0.5 of training"),
        ((1.0, 2.0, 1.0, -0.1), "needs to begin at 0 or later"),
        ((1.0, 2.0, 1.0, math.nan), "needs to begin at 0 or later"),
    ],
)
def test_ramps_that_are_none(shape: type[Ramp], numbers: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shape(*numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "exponential(1, 0)",
            r"another schedule \(exponential\(1\.0, 0\.0\) needs ends above 0\) or a function",
        ),
        ("linear(1, 0, 2)", r"linear\(1\.0, 0\.0, 2\.0\) needs a share of training"),
        ("linear(1e999, 0)", "needs finite ends"),
        ("linear(1, 0, 0.5, 3)", r"linear\(1\.0, 0\.0, 0\.5, 3\.0\) needs to begin at 0 or later, and before 0.5"),
        ("linear(1, 0, 0.5, 0.1, 3)", r"linear\(initial, final\), cosine\(initial, final\) or exponential"),
        ("step(1, 0)", "a number or linear"),
    ],
)
def test_text_that_is_no_schedule(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        convert(text, Schedule | None)


# --- in an update ---


@pytest.mark.parametrize("progress", [0.0, 0.4, 0.9])
def test_schedules_of_the_other_coefficients(progress: float) -> None:
    scale, bound, limit = Linear(4.0, 1.0, 0.5), Exponential(1e-3, 1e-5), Linear(1e-6, 1e-8)
    agent = make(engine="torch", learning_rate=1e-2, critic_lr_scale=scale, max_grad_norm=bound, max_policy_shift=limit)
    metrics = agent.update(first_rollout(agent), progress)
    gradient = torch.cat([p.grad.flatten() for net in (agent.policy, agent.value) for p in net.parameters()])
    assert float(metrics["train/grad_norm"]) > 1e-2
    assert float(gradient.norm()) == pytest.approx(value_at(bound, progress), rel=1e-3)
    actor, critic = (group["lr"] for group in agent.learner.optimizer.inner.param_groups)
    assert (actor, critic) == pytest.approx((1e-2, 1e-2 * value_at(scale, progress)))
    assert 0.5 < float(metrics["train/policy_shift_kl"]) / value_at(limit, progress) <= 1


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.9])
def test_a_schedule_of_the_value_loss(progress: float) -> None:
    weight = Cosine(1.0, 0.1)
    norms = []
    for vf_coef in (0.0, 1.0, weight):
        agent = make(vf_coef=vf_coef)
        norms.append(float(agent.update(first_rollout(agent), progress)["train/grad_norm"]))
    policy, whole, weighted = norms
    share = math.sqrt((weighted**2 - policy**2) / (whole**2 - policy**2))
    assert share == pytest.approx(value_at(weight, progress), rel=1e-4)


def first_rollout(agent: A2C) -> Rollout:
    return collect(agent.worlds, agent, agent.worlds.reset()[0], agent.n_steps, 0)[0]
