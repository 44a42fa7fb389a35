"""Several processes training one agent make the same updates as one process, and notice when one of them ends."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from agents import A2C, ranks
from agents.agent import Agent
from agents.events import Status
from agents.imitation.mutual import Mutual
from agents.ppo import PPO
from agents.ranks import RankLost, Ranks, concatenated, joined, share_of
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from envs import EnvironmentUsageError
from tests.ranks import on_ranks

NORMALIZED = {"normalize_observations": True, "normalize_rewards": True, "normalize_advantage": True, "num_envs": 4}
CASES = {
    "a2c": lambda **own: A2C("CartPole-v1", n_steps=8, max_policy_shift=0.01, **NORMALIZED, **own),
    "ppo": lambda **own: PPO("Pendulum-v1", n_steps=8, n_epochs=2, **NORMALIZED, **own),
    "ppo, discrete": lambda **own: PPO("CartPole-v1", n_steps=8, n_epochs=2, **NORMALIZED, **own),
}
FEW = {"batch_size": 4}  # minibatches of 4 of 32 rows: now and then a rank has none of them
DOUBLE = {"a2c": {}, "ppo": FEW, "ppo, discrete": FEW}
SLOW = {"learning_rate": 1e-4, "batch_size": 16}  # where rounding stays small
SINGLE = {"a2c": {"learning_rate": 1e-4}, "ppo": SLOW, "ppo, discrete": SLOW}


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def number(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """torch's default type."""
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


def trained(name: str, engine: str, updates: int) -> dict[str, Tensor]:
    """Parameters, statistics of the normalizers, and the metrics of every update."""
    single = torch.get_default_dtype() == torch.float32
    agent: A2C = CASES[name](engine=engine, **(SINGLE if single else DOUBLE)[name])
    seen: list[Tensor] = []

    def see(status: Status) -> None:
        seen.append(torch.stack([x.clone() for name, x in status.series.items() if name != "train/policy_shift_js"]))

    agent.learn(updates * agent.n_steps * 4, [see])
    assert agent.learner.obs_norm
    assert agent.learner.reward_norm
    return {
        "parameters": torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()]),
        "observations": agent.learner.obs_norm.moments.mean,
        "rewards": agent.learner.reward_norm.moments.m2.log(),
        "metrics": torch.stack(seen),
    }


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("name", CASES)
def test_two_ranks_make_the_updates_of_one_process(
    name: str, engine: str, number: torch.dtype, long: bool, tmp_path: Path
) -> None:
    """Metrics may be differences that cancel, so they have fewer digits."""
    if engine == "fused" and not long:
        pytest.skip("compiling the kernels of several ranks takes a minute")

    updates = 200 if long else 12
    if (name, engine, number) == ("ppo", "fused", torch.float32):
        updates = min(updates, 32)  # later, the pendulum itself amplifies rounding, here a hundred times in 32 updates

    def train(rank: int) -> None:
        with joined():
            torch.save(trained(name, engine, updates), tmp_path / f"{rank}.pt")

    assert on_ranks(2, train) == [0, 0]
    first, second, alone = *(torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)), trained(name, engine, updates)
    limits = {"metrics": 1e-10} if number == torch.float64 else {"metrics": math.inf}
    for part, expected in alone.items():
        assert torch.equal(first[part], second[part]), part
        limit = limits.get(part, 1e-12 if number == torch.float64 else 1e-5)
        torch.testing.assert_close(first[part], expected, rtol=limit, atol=limit, msg=part)


def test_a_checkpoint_goes_on_in_any_number_of_processes(tmp_path: Path) -> None:
    settings = {"n_steps": 4, "num_envs": 4, "engine": "torch", "normalize_rewards": True}

    def half(rank: int) -> None:
        with joined():
            A2C("CartPole-v1", **settings).learn(160).save(tmp_path / "half.pt")

    def rest(rank: int) -> None:
        with joined():
            agent = A2C.load(tmp_path / "half.pt")
            assert agent.loop.exact
            assert agent.worlds.num_envs == 2
            agent.learn(160).save(tmp_path / "two.pt")

    assert on_ranks(2, half) == [0, 0]
    assert on_ranks(2, rest) == [0, 0]
    A2C.load(tmp_path / "half.pt").learn(160).save(tmp_path / "one.pt")
    alone = A2C("CartPole-v1", **settings).learn(320)
    for name in ("one", "two"):
        agent = A2C.load(tmp_path / f"{name}.pt")
        assert agent.loop.exact
        for p, expected in zip(agent.policy.parameters(), alone.policy.parameters(), strict=True):
            torch.testing.assert_close(p, expected, rtol=0, atol=1e-5)
        assert agent.loop.step == 320


def test_ranks_compute_the_same_through_memory_and_through_sockets(tmp_path: Path) -> None:
    def train(rank: int) -> None:
        for name, share_memory in (("memory", True), ("sockets", False)):
            with joined(share_memory):
                assert (ranks._mailbox is not None) == share_memory
                torch.save(trained("ppo", "torch", 3), tmp_path / name)

    assert on_ranks(2, train) == [0, 0]
    memory, sockets = (torch.load(tmp_path / name) for name in ("memory", "sockets"))
    for part, expected in sockets.items():
        assert torch.equal(memory[part], expected), part


def test_ranks_join_again_and_again() -> None:
    def join(rank: int) -> None:
        for share_memory in (True, False) * 3:
            with joined(share_memory) as together:
                assert together.collect(rank) == [0, 1]
        assert ranks.current().alone

    assert on_ranks(2, join) == [0, 0]


@pytest.mark.parametrize("share_memory", [True, False])
def test_the_others_notice_within_seconds_that_one_has_ended(share_memory: bool, tmp_path: Path) -> None:
    def train(rank: int) -> None:
        with joined(share_memory):
            agent: Agent = A2C("CartPole-v1", num_envs=2, engine="torch")

            def die(status: Status) -> None:
                if rank == 1 and status.iteration == 5:
                    (tmp_path / "died").write_text(str(time.time()))
                    os._exit(7)

            with pytest.raises(RankLost, match="another rank has ended"):
                agent.learn(1_000_000, [die])
            (tmp_path / "noticed").write_text(str(time.time() - float((tmp_path / "died").read_text())))
            os._exit(8)

    assert on_ranks(2, train) == [8, 7]
    assert float((tmp_path / "noticed").read_text()) < 10


def test_what_several_ranks_cannot_train_is_refused() -> None:
    def build(rank: int) -> None:
        with joined():
            with pytest.raises(EnvironmentUsageError, match="num_envs=3 cannot be divided among 2 processes"):
                A2C("CartPole-v1", num_envs=3)
            with pytest.raises(ConfigError, match="an agent with gru_size learns in one process"):
                A2C("CartPole-v1", gru_size=8)
            with pytest.raises(ConfigError, match="torchrun trains one a2c or ppo in several processes; stream learns"):
                StreamAC("CartPole-v1")
            with pytest.raises(ConfigError, match="torchrun trains one a2c or ppo in several processes; mutual learns"):
                Mutual(A2C("CartPole-v1", num_envs=2))

    assert on_ranks(2, build) == [0, 0]


def test_the_state_of_all_environments_is_divided_as_it_was_joined() -> None:
    states = [{"length": [1, 2], "obs": torch.ones(2, 3) * k, "legal": None} for k in range(2)]
    whole = concatenated(states)
    assert whole["length"] == [1, 2, 1, 2]  # type: ignore[index]
    parts = [share_of(whole, Ranks(k, 2)) for k in range(2)]
    assert [part["obs"].tolist() for part in parts] == [[[0.0] * 3] * 2, [[1.0] * 3] * 2]  # type: ignore[index]


def test_world_size_without_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="WORLD_SIZE=2 asks for several processes, but RANK is not set"), joined():
        pass
