"""What the games of rl.gan show: where Algorithm 1 converges, and what can go wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rl.gan
from agents.maths import gan
from rl.experiments.gan import experiments
from rl.experiments.gan.experiments import WELL_BALANCED
from rl.experiments.gan.games import Setting, play, play_likelihood
from tests.conftest import Command


@pytest.mark.slow
def test_it_ends_at_minus_log_4_and_its_discriminator_is_the_optimal_one() -> None:
    """Checks the largest deviation over all recorded moments."""
    trace = play(WELL_BALANCED, [0])
    assert (trace.mean[0] == 4).all()
    assert (np.abs(trace.mean[-1]) < 0.15).all()
    assert (np.abs(trace.held_out + gan.LOG_4) <= 0.01).all()
    errors = trace.errors_between(1, 3)
    assert len(errors) > 30
    assert errors.max() <= 0.05
    late = trace.iteration > 100  # D starts at ½
    assert (trace.optimum - trace.value >= -1e-6).all()
    assert (trace.optimum - trace.value)[late].max() < 2e-3


def test_a_run_is_the_same_whichever_are_beside_it() -> None:
    setting = Setting(iterations=20, degree=None, k=2)
    together, alone = play(setting, [3, 1, 4]), play(setting, [1])
    np.testing.assert_allclose(together.mean[:, 1:2], alone.mean, rtol=1e-5)
    np.testing.assert_allclose(together.value[:, 1:2], alone.value, rtol=1e-4)
    np.testing.assert_allclose(together.held_out[1], alone.held_out[0], rtol=1e-4)
    assert len(set(together.mean[-1])) == 3
    np.testing.assert_array_equal(alone.mean, play(setting, [1]).mean)


def test_without_a_discriminator_nothing_says_where_to_go() -> None:
    constant, frozen = (
        play(Setting(discriminator_lr=0, knows_start=knows, iterations=300), [0]) for knows in (False, True)
    )
    assert (constant.mean == 4).all()
    assert frozen.mean[-1, 0] < -0.5  # beyond the data, and still moving
    likelihood = play_likelihood(Setting(iterations=300), [0])
    assert abs(likelihood[-1, 0]) < 0.2


def test_two_modes_are_learned_from_samples_alone() -> None:
    modes = experiments.play_modes([0], 500, str)
    assert modes.before[0] > 0.4
    assert modes.after[0] < 0.1
    assert modes.bound[0] < modes.after[0] + 0.01


def test_a_discriminator_may_be_too_strong_for_the_saturating_loss() -> None:
    far = Setting(mean=8, k=8, discriminator_lr=0.001, iterations=400)
    assert play(far, [0]).arrival[0] is not None
    stuck = play(replace(far, form="saturating"), [0])
    assert stuck.mean.min() > 7


def test_a_discriminator_may_be_too_slow_or_too_small() -> None:
    fast, slow = (play(Setting(discriminator_lr=rate), [0]) for rate in (0.1, 0.001))
    assert fast.rms_theta[0] < 0.1 < 1 < slow.rms_theta[0]
    assert fast.gap[0] < 0.03 < 0.3 < slow.gap[0]
    narrow = Setting(iterations=300, k=5, mean=1, std=0.4, learns_std=True, generator_lr=0.02, minibatch=256)
    blind, able = (play(replace(narrow, degree=degree), [0]) for degree in (1, 2))
    assert blind.std[-1, 0] < 0.5
    assert blind.optimum[-1, 0] - blind.value[-1, 0] > 0.2
    assert able.std[-1, 0] == pytest.approx(1, abs=0.1)


def test_command(command: Command, tmp_path: Path) -> None:
    status, out, _ = command(rl.gan, "--seeds", "0-1", "--iterations", "2", "--results", tmp_path)
    assert status == 0
    files = {path.name for path in (tmp_path / "gan").iterdir()}
    assert files == {"gan.md", "gan.json", "gan.png", "gan.pdf", "questions.png", "questions.pdf"}
    text = (tmp_path / "gan/gan.md").read_text(encoding="utf-8")
    assert f"`python -m rl.gan --seeds 0-1 --iterations 2 --results {tmp_path}`" in text
    assert "| D = ½, never trained | samples of the model | 4.000 [4.000, 4.000] |" in text
    assert "2 seeds a line" in text
    assert text in out
    status, _, err = command(rl.gan, "--iterations", "0")
    assert status == 2
    assert "--iterations must be at least 1, got 0" in err
