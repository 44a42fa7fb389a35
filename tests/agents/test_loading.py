"""What loading refuses: non-finite parameters, modules of untrusted files, impossible content."""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import archive, checkpoint, registry
from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.logger import Logger
from agents.settings.values import ConfigError
from envs import EnvLike
from rl.run.recorder import Recorder
from tests.agents.reinforce import Reinforce
from tests.toys import same_step


def build_cart_pole() -> gym.Env[object, object]:
    return gym.make("CartPole-v1")


MODULE = "tests.agents.never_imported"  # does not exist, so importing it would raise


def saved_with(path: Path, **changes: object) -> Path:
    """A checkpoint of an A2C with some fields replaced; settings are merged."""
    file = A2C("CartPole-v1", num_envs=2, net_arch=(4,)).save(path)
    content = checkpoint.load(file)
    settings = {**content["settings"], **changes.pop("settings", {})}  # type: ignore[dict-item]
    checkpoint.save(file, {**content, "settings": settings, **changes})
    return file


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite(engine: str, number: float, tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", num_envs=2, engine=engine).learn(40)  # type: ignore[arg-type]
    with torch.no_grad():
        agent.policy.net[-1].weight[0, 0] = number  # type: ignore[index]
    with pytest.raises(FloatingPointError, match="the policy's output is not finite"):
        agent.predict(np.ones(4, np.float32))
    file = agent.save(tmp_path / "a")
    for load in (A2C.load, registry.load, registry.load_actor):
        with pytest.raises(CheckpointError, match=r"a\.pt: parameter net\.\d\.weight is not finite; .* finite=False"):
            load(file)
        weight = load(file, finite=False).networks[0].net[-1].weight  # type: ignore[union-attr, index]
        assert not torch.isfinite(weight[0, 0])


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": f"{MODULE}:Agent"},
        {"wraps": f"{MODULE}:Agent"},
        {"env": f"{MODULE}:Env-v0"},
        {"settings": {"network": f"{MODULE}:Net"}},
        {"settings": {"learning_rate": f"{MODULE}:decay"}},
        {"settings": {"wrappers": [f"{MODULE}:Wrapper"]}},
        {"settings": {"wrappers": f"{MODULE}:Wrapper"}},
    ],
)
def test_an_untrusted_file_imports_nothing(changes: dict[str, object], tmp_path: Path) -> None:
    file = saved_with(tmp_path / "a", **changes)
    with pytest.raises(CheckpointError, match=rf"a\.pt names {MODULE}:\S+, which trust=False does not import"):
        registry.load(file, trust=False)
    (name,) = checkpoint.read(file).imports()
    assert name.startswith(MODULE)
    assert MODULE not in sys.modules


def test_an_untrusted_file_that_imports_nothing_is_loaded(tmp_path: Path) -> None:
    file = saved_with(tmp_path / "a")
    assert checkpoint.read(file).imports() == []
    assert registry.load(file, trust=False).loop.step == 0
    outside = saved_with(tmp_path / "b", env=f"{MODULE}:Env-v0")
    assert registry.load(outside, env="CartPole-v1", trust=False).loop.step == 0


def test_a_setting_that_needs_what_was_not_saved(tmp_path: Path) -> None:
    file = saved_with(tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"a\.pt lacks 'reward_norm': .*, or a new setting needs more"):
        A2C.load(file, normalize_rewards=True)


def test_an_agent_of_ones_own_is_named(tmp_path: Path) -> None:
    file = Reinforce("CartPole-v1", num_envs=2).save(tmp_path / "a")
    assert checkpoint.read(file).imports() == ["tests.agents.reinforce:Reinforce"]


def sealed(path: Path, content: object) -> Path:
    """Content that `checkpoint.save` would not write, with a valid checksum."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # torch pickles recursively in Python
    torch.save({"mark": "actor-critic checkpoint", "format": checkpoint.FORMAT, "content": content}, path)
    sys.setrecursionlimit(limit)
    archive.write(path, path.read_bytes())
    return path


def endless() -> dict[str, object]:
    inner: dict[str, object] = {}
    inner["again"] = inner
    return {"a": inner}


def laughs() -> dict[str, object]:
    value: object = [1]
    for _ in range(60):
        value = [value, value]
    return {"a": value}


def deep() -> dict[str, object]:
    value: object = [1]
    for _ in range(2000):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(endless(), id="a dict inside itself"),
        pytest.param(laughs(), id="2⁶⁰ lists"),
        pytest.param(deep(), id="2,000 lists in each other"),
        pytest.param({"a": torch.zeros(1).expand(10**12)}, id="a tensor of 4 TB in 4 bytes"),
        pytest.param({"a": torch.eye(2).to_sparse()}, id="a sparse tensor"),
        pytest.param({"a": {"__ndarray__": 5}}, id="no array"),
        pytest.param({"a": {"__ndarray__": torch.zeros(1, dtype=torch.bfloat16)}}, id="no type of NumPy"),
        pytest.param({"a": 1j}, id="a complex number"),
        pytest.param({"a": {1, 2}}, id="a set"),
        pytest.param({1: 2}, id="a number as the outermost key"),
        pytest.param({"a": {(1, 2): 3}}, id="a tuple as a key"),
        pytest.param([], id="a list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_content_that_is_never_written(content: object, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load(sealed(tmp_path / "a.pt", content))
    assert str(raised.value).startswith(f"{tmp_path / 'a.pt'} holds ")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_an_array_in_place_of_a_word(tmp_path: Path) -> None:
    file = saved_with(tmp_path / "a", settings={"activation": np.zeros(2)})
    with pytest.raises(ConfigError, match="activation must be one of"):
        registry.load(file)


@pytest.mark.parametrize(
    ("optimizer", "numbers", "words"),
    [
        ({}, {"momentum": 1}, "optimizer state momentum_buffer is None"),
        ({}, {"alpha": -1}, "parameter group: Invalid alpha"),
        ({"rms_prop_tf_like": True}, {"eps": -1}, "parameter group: .* must not be negative"),
        ({"use_rms_prop": False}, {"betas": (0.9, 1.0)}, "parameter group: Invalid beta parameter"),
    ],
)
def test_numbers_that_no_optimizer_takes(
    optimizer: dict[str, bool], numbers: dict[str, object], words: str, tmp_path: Path
) -> None:
    file = A2C("CartPole-v1", num_envs=2, net_arch=(4,), **optimizer).learn(40).save(tmp_path / "a")  # type: ignore[arg-type]
    content = checkpoint.load(file)
    saved = content["state"]["learner"]["optimizer"]["optimizer"]  # type: ignore[index]
    saved["param_groups"][0].update(numbers)
    checkpoint.save(file, content)
    with pytest.raises(CheckpointError, match=words):
        registry.load(file)


def test_a_step_that_is_no_number(tmp_path: Path) -> None:
    file = A2C("CartPole-v1", num_envs=2, net_arch=(4,)).learn(40).save(tmp_path / "a")
    content = checkpoint.load(file)
    content["state"]["learner"]["optimizer"]["optimizer"]["state"][0]["step"] = torch.ones(1)  # type: ignore[index]
    checkpoint.save(file, content)
    with pytest.raises(CheckpointError, match="optimizer state step is"):
        registry.load(file)


def test_a_parameter_comes_back_as_a_tensor(tmp_path: Path) -> None:
    loaded = checkpoint.load(sealed(tmp_path / "a.pt", {"a": torch.nn.Parameter(torch.ones(2))}))["a"]
    assert type(loaded) is torch.Tensor
    assert not loaded.requires_grad


@pytest.mark.parametrize("field", ["agent", "wraps", "engine", "env", "spaces", "settings", "state", "loop", "extra"])
def test_fields_of_another_type(field: str, tmp_path: Path) -> None:
    file = saved_with(tmp_path / "a")
    checkpoint.save(file, {**checkpoint.load(file), field: 5})
    with pytest.raises(CheckpointError, match=rf"a\.pt: {field} is 5; it must be "):
        registry.load(file)


@pytest.mark.parametrize(("size", "words"), [(3, "no row that ends at byte 3"), (10**6, "is shorter than")])
def test_a_recorder_that_does_not_fit_its_files_leaves_them(size: int, words: str, tmp_path: Path) -> None:
    first = Recorder(tmp_path, Logger(), None)
    state = first.state_dict()
    first.close()
    recorder = Recorder(tmp_path, Logger(), None)
    before = (tmp_path / "episodes.csv").read_bytes()
    with pytest.raises(CheckpointError, match=words):
        recorder.load_state_dict({**state, "files": [0, size]})
    recorder.close()
    assert (tmp_path / "episodes.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("trained", "settings", "count"),
    [
        pytest.param("CartPole-v1", {"num_envs": 3}, 3, id="as set"),
        pytest.param("CartPole-v1", {}, 8, id="default"),
        pytest.param(build_cart_pole(), {}, 1, id="object"),
        pytest.param(build_cart_pole, {"num_envs": 5, "backend": "sync"}, 5, id="function"),
        pytest.param("CartPole-v1", {"num_envs": 2, "backend": "async", "step_timeout": 60.0}, 2, id="processes"),
    ],
)
def test_a_function_builds_as_many_environments_as_were_saved(
    trained: EnvLike, settings: dict[str, object], count: int, tmp_path: Path
) -> None:
    agent = A2C(trained, **settings, net_arch=(4,), engine="torch").learn(16)  # type: ignore[arg-type]
    file = agent.save(tmp_path / "a")
    agent.worlds.close()
    loaded = A2C.load(file, build_cart_pole)
    assert (loaded.worlds.num_envs, loaded.step_timeout) == (count, settings.get("step_timeout"))
    assert loaded.worlds.backend == settings.get("backend", "sync")
    loaded.worlds.close()
    assert A2C.load(file, build_cart_pole()).worlds.num_envs == 1


def test_a_vector_environment_takes_the_place_of_wrapped_environments(tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", num_envs=2, wrappers=("RecordEpisodeStatistics",), net_arch=(4,))
    loaded = A2C.load(agent.save(tmp_path / "a"), same_step(build_cart_pole(), build_cart_pole()))
    assert (loaded.worlds.num_envs, loaded.wrappers) == (2, ())
