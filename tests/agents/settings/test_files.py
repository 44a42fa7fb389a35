"""Files of settings: what is read, what is refused in one line, and what comes back as it was written."""

import math
from pathlib import Path

import pytest

from agents.maths.schedules import Exponential, Linear
from agents.settings.files import directory_name, read_yaml, write_yaml
from agents.settings.schema import merge_layers, setting_values
from agents.settings.values import ConfigError
from tests.agents.settings.test_schema import KNOWN, Settings


@pytest.mark.parametrize(
    "content",
    [
        b"gamma: [1",
        b"gamma: 'open\n\n\nmore",
        b"\tgamma: 1",
        b"- gamma",
        b"just text",
        b"3",
        b"1: 2",
        b"gamma: 1\ngamma: 2",
        b"env_kwargs: {a: 1, a: 2}",
        b"gamma: 1\n---\ngamma: 2",
        b"gamma: !!python/object/apply:os.getcwd []",
        b"? [1]\n: 2",
        b"\x00\x01\x02",
        b"\x89PNG\r\n\x1a\n\x00",
        b"\xff\xfe\x00",
        b"note: 2024-13-45",
        b"n_steps: !!int many",
        b"normalize: !!bool maybe",
        b"!!map [1]",
    ],
)
def test_broken_yaml_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read_yaml(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_unreadable_yaml_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(ConfigError) as raised:
            read_yaml(path)
        assert str(raised.value).startswith(f"cannot read {path}: ")
        assert "\n" not in str(raised.value)


def test_duplicate_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("gamma: 1\nn_steps: 2\ngamma: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="key 'gamma' given twice at line 3"):
        read_yaml(path)


def test_numbers_are_those_of_the_command_line(tmp_path: Path) -> None:
    """YAML 1.1 reads 010 as 8, 1:30 as 90, 0b11 as 3 and 0x10 as 16."""
    path = tmp_path / "run.yaml"
    path.write_text("a: 010\nb: 1:30\nc: 0b11\nd: 0x10\ne: -1_000\nf: 1.5e-3\ng: .5\nh: -.inf\ni: 2.\nj: 1:30.5\n")
    read = read_yaml(path)
    assert read == {
        "a": 10, "b": "1:30", "c": "0b11", "d": "0x10", "e": -1000, "f": 0.0015, "g": 0.5, "h": -math.inf, "i": 2.0,
        "j": "1:30.5",
    }  # fmt: skip
    assert [type(read[key]) for key in "aefi"] == [int, int, float, float]


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n"])
def test_empty_yaml_holds_no_settings(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content, encoding="utf-8")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    "settings",
    [
        Settings("x"),
        Settings("x", gamma=1e-20, n_steps=10**18, normalize=True, note="1e6", net_arch=(), activation="relu"),
        Settings("x", gamma=1e16, note="null", max_episode_steps=5, learning_rate=Linear(1e-5, 0.0), net_arch=(1,)),
        Settings("x", learning_rate=Exponential(0.1 + 0.2, 1e-20, 1 / 3)),
        Settings("x", gamma=0.1 + 0.2, note="a: b\n# γ", env_kwargs={"a": {"b": [1, 2.5, None, "x", True]}}),
    ],
)
def test_yaml_round_trip(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "run.yaml"
    write_yaml(path, setting_values(settings))
    back = read_yaml(path)
    assert list(back) == list(setting_values(settings))
    assert merge_layers(KNOWN, [("run.yaml", back)]) == setting_values(settings)


def test_a_directory_has_a_name_that_a_file_system_takes(tmp_path: Path) -> None:
    assert directory_name("ALE/Pong-v5") == "ALE-Pong-v5"
    assert directory_name("m:" + "a" * 118) == "m-" + "a" * 118
    names = {directory_name(f"module:{'é' * 150}{i}-v0") for i in range(3)}
    assert len(names) == 3
    for name in names:
        assert 100 < len(name.encode()) <= 120
        (tmp_path / name).mkdir()
