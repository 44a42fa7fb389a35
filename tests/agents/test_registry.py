"""Agents by name: built, saved, loaded completely or only to act, and warm-started."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agents import A2C, Agent, registry
from agents.checkpoint import CheckpointError
from agents.imitation.clone import Clone
from agents.imitation.gail import GAIL
from agents.imitation.mutual import Mutual
from agents.ppo import PPO
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from tests.agents.recorded import made

SMALL = {"net_arch": (8,), "num_envs": 2}


@pytest.fixture
def file(tmp_path: Path) -> str:
    obs = np.random.default_rng(0).normal(0, 1, (60, 4)).astype(np.float32)
    return made(tmp_path / "d", "CartPole-v1", obs, (obs[:, 2] > 0).astype(np.int64), length=5)


def same(a: A2C, b: A2C) -> bool:
    pairs = zip(a.networks, b.networks, strict=True)
    return all(torch.equal(x, y) for m, n in pairs for x, y in zip(m.parameters(), n.parameters(), strict=True))


def test_every_name_is_of_one_class() -> None:
    for name in registry.NAMES:
        cls = registry.class_of(name)
        assert registry.kinds(name)[-1] is cls
        assert (cls is A2C) == (name == "a2c")
        assert issubclass(cls, Agent)
        assert cls.name == name
    with pytest.raises(ConfigError, match=r"one of a2c, .*, got 'gial'; did you mean 'gail'\?"):
        registry.class_of("gial")


def test_build_divides_the_settings(file: str) -> None:
    agent = registry.build(
        "clone", "CartPole-v1", {**SMALL, "demonstrations": Path(file), "batch_size": 4, "gamma": 0.5}
    )
    assert isinstance(agent, Clone)
    assert (agent.batch_size, agent.agent.gamma, agent.agent.net_arch) == (4, 0.5, (8,))
    assert agent.demonstrations == file
    assert agent.name == "clone"
    assert agent.settings.keys() == agent.agent.settings.keys() | {
        "demonstrations", "episodes", "batch_size", "validation_fraction", "patience",
    }  # fmt: skip


def test_the_actor_outlives_what_it_learned_from(file: str, tmp_path: Path) -> None:
    """A policy can act, teach and be trained further without its demonstrations; imitation training needs them."""
    clone = Clone(A2C("CartPole-v1", normalize_observations=True, **SMALL), demonstrations=file, batch_size=4)
    path = clone.learn(100).save(tmp_path / "clone")
    Path(file).unlink()
    alone = registry.load_actor(path)
    assert same(alone, clone.agent)
    assert alone.loop.step == 100
    assert torch.equal(alone.learner.obs_norm.moments.mean, clone.agent.learner.obs_norm.moments.mean)
    assert alone.engine_in_use == clone.engine_in_use == "torch", "as it was trained"
    begun = A2C("CartPole-v1", normalize_observations=True, seed=1, **SMALL)
    begun.warm_start(path)
    assert same(begun, clone.agent)
    assert torch.equal(begun.learner.obs_norm.moments.var, clone.agent.learner.obs_norm.moments.var)
    with pytest.raises(ConfigError, match=r"d\.npz: no such file; python -m rl\.demos"):
        registry.load(path)


def test_the_actor_of_peers_is_the_first(tmp_path: Path) -> None:
    mutual = Mutual(A2C("CartPole-v1", **SMALL), peers=3).learn(60)
    alone = registry.load_actor(mutual.save(tmp_path / "m"))
    assert same(alone, mutual.peer_agents[0])
    assert not same(alone, mutual.peer_agents[1])
    assert alone.worlds.num_envs == 2


def test_the_wrong_class_says_what_to_do(file: str, tmp_path: Path) -> None:
    clone = Clone(A2C("CartPole-v1", **SMALL), demonstrations=file, batch_size=4).save(tmp_path / "clone")
    plain = A2C("CartPole-v1", **SMALL).save(tmp_path / "plain")
    assert same(A2C.load(clone), Clone.load(clone).agent)
    for cls, path, found in ((Clone, plain, "a2c"), (GAIL, clone, "clone")):
        with pytest.raises(CheckpointError) as error:
            cls.load(path)
        message = f"{path} holds an agent of type {found}, not {cls.name}; agents.registry.load takes any"
        assert message in str(error.value)
        assert "\n" not in str(error.value)
        assert registry.load(path).name == found


def test_an_agent_of_the_future_and_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Novel(A2C):
        pass

    path = Novel("CartPole-v1", engine="torch", **SMALL).save(tmp_path / "novel")
    for take in (registry.load, registry.load_actor):
        with pytest.raises(CheckpointError, match=r"novel.pt: cannot import agent 'tests.*Novel'"):
            take(path)
    path.write_bytes(path.read_bytes()[:-10])
    for take in (registry.load, registry.load_actor):
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            take(path)
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere\.pt"):
        registry.load_actor(tmp_path / "nowhere")


@pytest.mark.parametrize(("of", "to"), [(PPO, PPO), (PPO, A2C), (A2C, PPO)])
def test_a2c_and_ppo_begin_from_each_other(of: type[A2C], to: type[A2C], tmp_path: Path) -> None:
    source, agent = of("CartPole-v1", **SMALL), to("CartPole-v1", seed=1, **SMALL)
    agent.warm_start(source.save(tmp_path / "source"))
    assert same(agent, source)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"net_arch": (4,)}, r"warm_start: net_arch is \(8,\) in .*plain.pt and \(4,\) here; make them equal"),
        ({"activation": "relu"}, "activation is tanh"),
        ({"normalize_observations": True}, "normalize_observations is False"),
        ({"gru_size": 3}, "have other shapes"),
    ],
)
def test_warm_start_refuses_other_networks(changed: dict[str, object], words: str, tmp_path: Path) -> None:
    path = A2C("CartPole-v1", **SMALL).save(tmp_path / "plain")
    agent = A2C("CartPole-v1", **{**SMALL, **changed})
    before = [x.clone() for network in agent.networks for x in network.parameters()]
    with pytest.raises(ConfigError, match=words):
        agent.warm_start(path)
    after = [x for network in agent.networks for x in network.parameters()]
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True)), "nothing was carried over"


def test_an_algorithm_wraps_an_a2c(file: str) -> None:
    with pytest.raises(ConfigError, match=r"Clone wraps one A2C, as in Clone\(A2C\(env\), …\), got 'CartPole"):
        Clone("CartPole-v1", demonstrations=file)


def test_an_algorithm_around_a_ppo_has_a_class_of_its_own(file: str) -> None:
    with pytest.raises(ConfigError, match=r"Clone wraps an A2C, not a PPO$"):
        Clone(PPO("CartPole-v1"), demonstrations=file)
    with pytest.raises(ConfigError, match="GAIL wraps an A2C, not a PPO: GAILPPO does"):
        GAIL(PPO("CartPole-v1"), demonstrations=file)


def test_a_stream_is_no_source_of_a_warm_start(tmp_path: Path) -> None:
    stream = StreamAC("CartPole-v1", engine="torch", net_arch=(8,)).save(tmp_path / "stream")
    with pytest.raises(CheckpointError, match=r"stream\.pt holds an agent of type stream, not a2c"):
        A2C("CartPole-v1", engine="torch", **SMALL).warm_start(stream)
