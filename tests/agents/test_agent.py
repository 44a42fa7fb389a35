"""`from agents import A2C`: uses the same loop as the command."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import gymnasium as gym
import pytest
import torch

from agents import A2C
from agents.checkpoint import CheckpointError
from agents.events import Status
from agents.maths.schedules import Linear
from agents.rollout import collect
from agents.settings.values import ConfigError
from envs import EnvironmentFailure, EnvLike, make
from tests.toys import Shaped


def parameters(agent: A2C) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in (*agent.policy.parameters(), *agent.value.parameters())])


def test_seeds_decide_everything() -> None:
    torch.manual_seed(1)
    first = parameters(A2C("CartPole-v1", seed=0).learn(400))
    torch.manual_seed(2)
    assert torch.equal(first, parameters(A2C("CartPole-v1", seed=0).learn(400)))
    assert not torch.equal(first, parameters(A2C("CartPole-v1", seed=1).learn(400)))


@pytest.mark.parametrize(
    ("total", "n_steps", "taken"), [(1000, 1, 1000), (1001, 1, 1000), (1003, 5, 1000), (20, 5, 16), (7, 1, 0)]
)
def test_training_never_overshoots(total: int, n_steps: int, taken: int) -> None:
    assert A2C("CartPole-v1", num_envs=8, n_steps=n_steps).learn(total).loop.step == taken


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        ("CartPole-v1", {}),
        ("CartPole-v1", {"n_steps": 5, "gae_lambda": 0.9, "use_rms_prop": False, "max_policy_shift": 1e-3}),
        ("Pendulum-v1", {"normalize_observations": True, "normalize_rewards": True, "ent_coef": 0.01}),
        ("FrozenLake-v1", {"env_kwargs": {"is_slippery": False}, "activation": "relu", "net_arch": (8,)}),
    ],
)
def test_resume_is_exact(env_id: str, settings: dict[str, object], tmp_path: Path) -> None:
    """1,000 steps, a file, and 1,000 more steps equal 2,000 steps at once."""
    straight = A2C(env_id, num_envs=4, **settings).learn(2000)  # type: ignore[arg-type]
    path = A2C(env_id, num_envs=4, **settings).learn(1000).save(tmp_path / "half")  # type: ignore[arg-type]
    resumed = A2C.load(path)
    assert resumed.loop.exact
    assert torch.equal(parameters(straight), parameters(resumed.learn(1000)))
    assert torch.equal(straight.learner.generator.get_state(), resumed.learner.generator.get_state())


def test_schedules_resume_where_they_were(tmp_path: Path) -> None:
    rates: list[float] = []

    def note(status: Status) -> None:
        rates.append(float(status.metrics["train/learning_rate"]))

    A2C("CartPole-v1", learning_rate=Linear(1e-3, 0.0), num_envs=4).learn(400, [note]).save(tmp_path / "a")
    assert rates[0] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx(0.5e-3)
    agent = A2C.load(tmp_path / "a")
    assert agent.learning_rate == Linear(1e-3, 0.0)
    agent.learn(400, [note])
    assert rates[100] == pytest.approx(0.5e-3)


def test_environments_of_every_kind() -> None:
    def factory() -> gym.Env:  # type: ignore[type-arg]
        return gym.make("CartPole-v1")

    assert A2C(gym.make("CartPole-v1")).learn(10).loop.step == 10
    assert A2C(factory, num_envs=3).learn(10).loop.step == 9
    assert A2C(make("CartPole-v1", 2)).learn(10).loop.step == 10


def test_an_agent_of_an_environment_object(tmp_path: Path) -> None:
    agent = A2C(gym.make("CartPole-v1"), seed=1).learn(50)
    path = agent.save(tmp_path / "a")
    loaded = A2C.load(path, gym.make("CartPole-v1"))
    assert torch.equal(parameters(agent), parameters(loaded))
    assert not loaded.loop.exact
    assert loaded.learn(50).loop.step == 100
    with pytest.raises(CheckpointError, match="is for the spaces"):
        A2C.load(path, gym.make("Pendulum-v1"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.5}, "gamma must lie between 0 and 1"),
        ({"gamma": float("nan")}, "gamma must be a number"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"learning_rate": -1e-3}, "learning_rate must not be negative"),
        ({"learning_rate": Linear(1e-3, -1e-3)}, "learning_rate must not be negative"),
        ({"max_policy_shift": 0.0}, "max_policy_shift must be positive"),
        ({"max_policy_shift": Linear(1e-3, 0.0)}, "max_policy_shift must be positive"),
        ({"max_policy_shift": Linear(1e-3, 1e-4), "target_policy_shift": 5e-4}, "target_policy_shift must stay below"),
        ({"vf_coef": Linear(0.5, -0.1)}, "vf_coef must not be negative"),
        ({"critic_lr_scale": -1}, "critic_lr_scale must not be negative"),
        ({"reward_scale": 0.0}, "reward_scale must be positive"),
        ({"reward_clip": -1.0}, "reward_clip must be positive or null"),
        ({"clip_normalized": 0.0}, "clip_normalized must be positive"),
        ({"net_arch": (64, 0)}, "net_arch"),
        ({"learning_rate": lambda: 1e-3}, "learning_rate must be a number or linear"),
        ({"activation": "rrelu"}, "activation must be one of tanh, relu"),
        ({"seed": None}, "seed must be a whole number"),
        ({"rms_prop_eps": 0.0}, "rms_prop_eps must be positive"),
        ({"threads": 1024}, "processors"),
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 1, "normalize_advantage": True}, "normalize_advantage needs more than one step"),
        ({"log_std_init": 40.5}, "log_std_init must lie between −40 and 40, got 40.5; σ is e"),
        ({"log_std_init": -800}, "log_std_init must lie between −40 and 40, got -800"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        A2C("CartPole-v1", **settings)  # type: ignore[arg-type]


def test_a_typo_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'learnin_rate'; did you mean 'learning_rate'"):
        A2C("CartPole-v1", learnin_rate=1e-3)  # type: ignore[call-arg]
    assert issubclass(ConfigError, ValueError)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    agent = A2C("CartPole-v1", num_envs=2).learn(100)
    before = parameters(agent)
    with torch.no_grad():
        agent.value.net[-1].bias.fill_(torch.inf)
    broken = parameters(agent)
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        agent.learn(100)
    assert torch.equal(broken, parameters(agent))
    assert torch.equal(before[:-1], parameters(agent)[:-1])


@pytest.mark.parametrize("bound", [1e-4, 1e-3])
def test_policy_shift_stays_within_its_bound(bound: float) -> None:
    free: list[float] = []
    held: list[float] = []
    for bounded, shifts in ((None, free), (bound, held)):
        agent = A2C("CartPole-v1", max_policy_shift=bounded, learning_rate=3e-3)
        agent.learn(4000, [lambda status, shifts=shifts: shifts.append(float(status.metrics["train/policy_shift_kl"]))])
    assert max(free) > 10 * bound
    assert max(held) <= bound
    assert min(held) >= 0


class Fragile(gym.Wrapper):  # type: ignore[type-arg]
    """Raises once, in mid-rollout."""

    def __init__(self) -> None:
        super().__init__(gym.make("CartPole-v1", max_episode_steps=10))
        self.steps = 0

    def step(self, action):  # type: ignore[no-untyped-def]
        self.steps += 1
        if self.steps == 8:
            raise RuntimeError("once")
        return super().step(action)


def episodes_of(agent: A2C, steps: int) -> list[int]:
    lengths: list[int] = []
    agent.learn(steps, [lambda status: lengths.extend(episode.length for episode in status.episodes)])
    return lengths


def test_training_begins_anew_after_an_error_in_the_middle() -> None:
    agent = A2C(Fragile(), n_steps=5)
    with pytest.raises(EnvironmentFailure, match="once"):
        agent.learn(100)
    assert agent.loop.step == 5
    assert max(episodes_of(agent, 100)) <= 10


def test_a_rollout_of_another_policy_is_no_endless_loop() -> None:
    agent, other = (A2C("CartPole-v1", seed=seed, max_policy_shift=1e-12) for seed in (0, 1))
    before = parameters(agent)[: sum(p.numel() for p in agent.policy.parameters())]
    obs, _ = other.worlds.reset()
    batch, _, _ = collect(other.worlds, other, obs, 4, 0)
    agent.update(batch)
    assert torch.equal(before, parameters(agent)[: len(before)])


def test_only_false_ends_training() -> None:
    assert A2C("CartPole-v1").learn(160, [lambda status: 0]).loop.step == 160  # type: ignore[list-item,return-value]
    assert A2C("CartPole-v1").learn(160, [lambda status: False]).loop.step == 8


@pytest.mark.parametrize("backend", ["sync", "async"])
@pytest.mark.parametrize(
    ("env", "kwargs"),
    [
        pytest.param("CartPole-v1", {}, id="spaces of environment 0"),
        pytest.param("FrozenLake-v1", {"max_episode_steps": 9}, id="a time limit"),
        pytest.param(partial(Shaped, gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2)), {}, id="samples its spaces"),
    ],
)
def test_identical_runs_save_identical_bytes(
    env: EnvLike, kwargs: dict[str, int], backend: str, tmp_path: Path
) -> None:
    saved = []
    for name in "ab":
        agent = A2C(env, seed=3, num_envs=2, backend=backend, engine="torch", **kwargs).learn(40)
        assert agent.worlds.resume == "state"
        agent.loop.seconds = 0.0  # the only clock time in the file
        saved.append(agent.save(tmp_path / name).read_bytes())
        agent.worlds.close()
    assert saved[0] == saved[1]


class Compiling(A2C):
    def compile(self, on_compile: Callable[[], None] | None = None) -> None:
        if on_compile:
            on_compile()


def test_learning_says_why_it_waits_for_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    Compiling("CartPole-v1", num_envs=2).learn(2)
    assert capsys.readouterr().err == "compiling kernels for this machine, once\n"
