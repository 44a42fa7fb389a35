"""The device of the torch engine. Tests marked `cuda` are deselected if there is no CUDA device."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agents import A2C
from agents.actor_critic import ActorCritic
from agents.devices import chosen_device
from agents.engines import network_obstacle
from agents.imitation.clone import Clone
from agents.imitation.distill import Distill
from agents.imitation.gail import GAIL
from agents.ppo import PPO
from agents.rollout import collect
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.recorded import made

CUDA = torch.device("cuda", 0)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "images", "chosen"),
    [("auto", False, "cpu"), ("auto", True, "cuda:0"), ("cpu", True, "cpu"), ("cuda", False, "cuda:0"),
     ("cuda:1", False, "cuda:1")],
)  # fmt: skip
def test_the_device_that_a_setting_names(device: str, images: bool, chosen: str) -> None:
    assert chosen_device(device, images) == torch.device(chosen)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "words"),
    [("cuda:2", "device cuda:2 is not there: torch finds cuda:0 to cuda:1"), ("mps", "mps has no double precision")],
)
def test_devices_that_cannot_be_used(device: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        A2C("CartPole-v1", num_envs=1, device=device)


def test_without_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto", images=True) == torch.device("cpu")
    saved = A2C("CartPole-v1", num_envs=1).save(tmp_path / "a")
    for build in (lambda: A2C("CartPole-v1", device="cuda"), lambda: A2C.load(saved, device="cuda:3")):
        with pytest.raises(ConfigError, match=r"^device cuda(:3)? is not there: torch finds no CUDA device; take "):
            build()
    with pytest.raises(ConfigError, match="device must be auto, cpu, cuda or cuda:N, got 'cuda:x'"):
        A2C("CartPole-v1", device="cuda:x")


def test_engine_and_header() -> None:
    agent = A2C("CartPole-v1", num_envs=1, engine="torch", device="cpu")
    assert agent.describe()["engine"] == f"torch {torch.__version__} on CPU, 1 thread"
    assert network_obstacle(agent, agent.policy, CUDA) == "it runs on the CPU, device is cpu"
    with pytest.raises(ConfigError, match="device of a built agent cannot change"):
        agent.device = "cuda"
    batch, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 2, 0)
    assert batch.to(agent.learner.device) is batch


# --- with a GPU ---


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(A2C, {"n_steps": 5, "normalize_observations": True, "normalize_rewards": True}), (A2C, {"gru_size": 8}),
     (PPO, {"n_steps": 16, "batch_size": 32, "target_kl": 0.1}), (StreamAC, {}), (A2C, {"max_policy_shift": 1e-4})],
)  # fmt: skip
def test_training_is_that_of_the_cpu(kind: type[ActorCritic], settings: dict[str, object], tmp_path: Path) -> None:
    there, here = (kind("CartPole-v1", engine="torch", device=device, **settings) for device in ("cuda", "cpu"))
    steps = 20 * there.worlds.num_envs * there.n_steps
    for agent in (there, here):
        agent.learn(steps)
        assert {p.device for network in agent.networks for p in network.parameters()} == {agent.learner.device}
    for p, q in zip(there.policy.parameters(), here.policy.parameters(), strict=True):
        torch.testing.assert_close(p.cpu(), q, rtol=1e-3, atol=1e-4)
    path = there.save(tmp_path / "a")
    obs = np.zeros(4, np.float32)
    assert (
        kind.load(path, device="cpu").predict(obs, deterministic=True)[0] == there.predict(obs, deterministic=True)[0]
    )
    again = kind.load(path).learn(steps)
    there.learn(steps)
    for p, q in zip(there.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.cuda
def test_images_and_fused() -> None:
    with pytest.raises(ConfigError, match="engine fused does not fit: it runs on the CPU, device is cuda"):
        A2C("CartPole-v1", engine="fused", device="cuda")
    assert "cuda:0 (" in A2C("CartPole-v1", device="cuda").describe()["engine"]


@pytest.mark.cuda
def test_imitation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(64, 4)).astype(np.float32), rng.integers(0, 2, 64)
    file = made(tmp_path / "d.npz", "CartPole-v1", obs, action, length=8)
    teacher = str(A2C("CartPole-v1", num_envs=4).save(tmp_path / "teacher"))

    def agent() -> A2C:
        return A2C("CartPole-v1", num_envs=4, n_steps=4, engine="torch", device="cuda")

    for learner in (
        Clone(agent(), demonstrations=file, batch_size=16),
        GAIL(agent(), demonstrations=file, discriminator_batch=16),
        Distill(agent(), teachers=(teacher,)),
    ):
        learner.learn(64)
        assert all(bool(p.isfinite().all()) for p in learner.agent.policy.parameters())
