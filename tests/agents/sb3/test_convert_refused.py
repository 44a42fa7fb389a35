"""Models and environments that one library has and the other lacks are refused in one line."""

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest
import stable_baselines3 as sb3
from gymnasium import spaces
from torch import nn, optim

from agents import A2C
from agents.checkpoint import CheckpointError
from agents.maths.schedules import Linear
from agents.networks.forward import Objective
from agents.ppo import PPO
from agents.rollout import Rollout
from agents.sb3 import from_sb3, to_sb3
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.sb3.test_convert import cartpole


class Other(sb3.common.torch_layers.FlattenExtractor):
    pass


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: cartpole(policy_kwargs={"activation_fn": nn.PReLU}), r"is PReLU\(num_parameters=1\); A2C has"),
        (lambda: cartpole(policy_kwargs={"activation_fn": lambda: nn.LeakyReLU(0.2)}), "is LeakyReLU.*0.2.*A2C has"),
        (lambda: cartpole(policy_kwargs={"features_extractor_class": Other}), "features extractor is a Other"),
        (lambda: cartpole(policy_kwargs={"optimizer_class": optim.SGD}, use_rms_prop=False), "optimizer is SGD"),
        (lambda: cartpole(policy_kwargs={"optimizer_class": optim.Adam, "optimizer_kwargs": {"weight_decay": 0.1}}),
         "weight_decay=0.1; A2C has 0"),
        (lambda: sb3.A2C("MlpPolicy", "Pendulum-v1", use_sde=True, device="cpu"), "use_sde"),
        (lambda: sb3.A2C("MlpPolicy", gym.wrappers.FlattenObservation(gym.make("CartPole-v1")), device="cpu"),
         r"wrapped in FlattenObservation: pass env="),
    ],
)  # fmt: skip
def test_models_that_cannot_be_converted(model: Callable[[], sb3.A2C], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_sb3(model())


def test_zips(tmp_path: Path) -> None:
    cartpole().save(tmp_path / "a2c.zip")
    with pytest.raises(ConfigError, match="has no environment: pass env="):
        from_sb3(tmp_path / "a2c.zip")
    with pytest.raises(ConfigError, match="the model is for observations"):
        from_sb3(tmp_path / "a2c.zip", "Acrobot-v1")
    sb3.PPO("MlpPolicy", "CartPole-v1", n_steps=64, device="cpu").save(tmp_path / "ppo.zip")
    assert type(from_sb3(tmp_path / "ppo.zip", "CartPole-v1")) is PPO
    with pytest.raises(ConfigError, match="the model is a PPO loaded as an A2C"):
        from_sb3(sb3.A2C.load(tmp_path / "ppo.zip", device="cpu"), "CartPole-v1")
    whole = (tmp_path / "a2c.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("no zip")
    sb3.DQN("MlpPolicy", "CartPole-v1", device="cpu").save(tmp_path / "dqn.zip")
    for name in ("cut", "text", "dqn", "missing"):
        with pytest.raises(
            CheckpointError, match=f"cannot read .*{name}.zip as an A2C or PPO of Stable-Baselines3"
        ) as error:
            from_sb3(tmp_path / f"{name}.zip", "CartPole-v1")
        assert "\n" not in str(error.value)


def test_settings_that_sb3_lacks() -> None:
    agent = A2C("CartPole-v1", critic_lr_scale=3.0, max_policy_shift=0.01, ent_coef=Linear(0.1, 0.0))
    with pytest.raises(ConfigError, match=r"no counterpart of critic_lr_scale: 3\.0; .*drop="):
        to_sb3(agent)
    with pytest.raises(ConfigError, match="no counterpart of ent_coef"):
        to_sb3(agent, drop=["critic_lr_scale", "max_policy_shift"])
    model = to_sb3(agent, drop=["critic_lr_scale", "max_policy_shift", "ent_coef"])
    assert model.ent_coef == 0.1
    for name, value in {
        "vf_coef": Linear(0.5, 0.1), "max_grad_norm": Linear(1.0, 0.5), "reward_scale": 0.1, "reward_clip": 1.0
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=rf"no counterpart of {name}: .*drop=\['{name}'\]"):
            to_sb3(A2C("CartPole-v1", **{name: value}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="drop takes settings that Stable-Baselines3 lacks"):
        to_sb3(agent, drop=["gamma"])


def _replaces_a_layer(agent: A2C) -> None:
    agent.value.net[-2] = nn.Softplus()


def _adds_a_hook(agent: A2C) -> None:
    agent.policy.net[0].register_forward_hook(lambda module, inputs, out: out.sin())


def _decays_weights(agent: A2C) -> None:
    agent.learner.optimizer.inner.param_groups[1]["weight_decay"] = 0.3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_replaces_a_layer, "layers of the agent were replaced, which to_sb3 cannot keep"),
        (_adds_a_hook, "the agent has hooks of net.0, which to_sb3 cannot keep"),
        (_decays_weights, "the optimizer's weight_decay was changed to 0.3, which to_sb3 cannot keep"),
    ],
)
def test_changes_to_a_built_agent_that_sb3_lacks(change: Callable[[A2C], None], words: str) -> None:
    """Without a word, the model predicted or learned differently."""
    agent = A2C("CartPole-v1", num_envs=2, engine="torch").learn(16)
    to_sb3(agent)
    change(agent)
    with pytest.raises(ConfigError, match=words):
        to_sb3(agent)


def test_another_algorithm_is_not_converted() -> None:
    """The model had Stable-Baselines3's loss instead, without a word."""

    class Anchored(A2C):
        def objective(self, batch: Rollout, progress: float = 0.0) -> Objective:
            found = super().objective(batch, progress)
            return found._replace(loss=3 * found.loss)

    with pytest.raises(ConfigError, match=r"Anchored\.objective is not that of the algorithm in Stable-Baselines3"):
        to_sb3(Anchored("CartPole-v1", num_envs=1))
    agent = A2C("CartPole-v1", num_envs=1)
    agent.value_loss = lambda *given: None  # type: ignore[assignment, method-assign]
    with pytest.raises(ConfigError, match=r"A2C\.value_loss is not that of the algorithm"):
        to_sb3(agent)
    with pytest.raises(ConfigError, match="to_sb3 converts A2C and PPO, not StreamAC"):
        to_sb3(StreamAC("CartPole-v1"))  # type: ignore[arg-type]


def test_environments_that_sb3_cannot_take() -> None:
    vector = gym.make_vec(
        "CartPole-v1", 2, "sync", vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    )
    with pytest.raises(ConfigError, match="cannot step a Gymnasium vector environment"):
        to_sb3(A2C(vector))
    with pytest.raises(ConfigError, match="VecNormalize cannot normalize Discrete observations"):
        to_sb3(A2C("FrozenLake-v1", normalize_observations=True))
    assert to_sb3(A2C("FrozenLake-v1")).observation_space == spaces.Discrete(16)
