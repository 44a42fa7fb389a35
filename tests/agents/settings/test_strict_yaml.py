"""Malicious YAML, in files and flags, is refused quickly and in one line."""

from pathlib import Path

import pytest

from agents.settings.a2c import A2CSettings
from agents.settings.files import read_yaml, write_yaml
from agents.settings.schema import merge_layers, setting_types
from agents.settings.strict_yaml import MAX_DEPTH, NotSettings, parse_yaml
from agents.settings.values import ConfigError

LAUGHS = "\n".join(
    ["l0: &l0 [ha, ha]", *(f"l{n}: &l{n} [{', '.join(f'*l{n - 1}' for _ in range(9))}]" for n in range(1, 40))]
)
TYPES = setting_types(A2CSettings)


def nested(depth: int) -> str:
    return "{a: " * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(LAUGHS, "*l0 is an alias, not allowed here: write the value out at line 2", id="billion laughs"),
        pytest.param("&a [*a]", "*a is an alias", id="recursive list"),
        pytest.param("a: &a {b: *a}", "*a is an alias", id="recursive mapping"),
        pytest.param("a: &a {gamma: 1}\nb:\n  <<: *a", "*a is an alias", id="merged mapping"),
        pytest.param(nested(400), f"nested more than {MAX_DEPTH} deep at line 1", id="400 mappings"),
        pytest.param("[" * 90_000, f"nested more than {MAX_DEPTH} deep", id="90,000 lists"),
        pytest.param("a: 1\nb: {c: 1, c: 2}", "key 'c' given twice at line 2", id="duplicate"),
        pytest.param("? {a: 1}\n: 2", "unhashable", id="a mapping as a key"),
        pytest.param("a: !!int many", "ValueError: invalid literal", id="no number"),
        pytest.param("a: " + "9" * 9000, "ValueError: Exceeds the limit", id="9,000 digits"),
    ],
)  # fmt: skip
def test_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(NotSettings) as raised:
        parse_yaml(text)
    assert words in str(raised.value)
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.yaml is not YAML: ") as in_file:
        read_yaml(path)
    assert str(raised.value) in str(in_file.value)
    assert "\n" not in str(in_file.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (nested(400), f"(lists and mappings are nested more than {MAX_DEPTH} deep at line 1)"),
        ("{a: &a {b: *a}}", "(*a is an alias"),
        ("{a: 1, a: 2}", "(key 'a' given twice at line 1)"),
    ],
)
def test_flags_are_read_as_files_are(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        merge_layers(TYPES, [("--set", {"env_kwargs": text})])
    assert str(raised.value).startswith("--set: env_kwargs must be a mapping such as {key: value} ")
    assert words in str(raised.value)
    with pytest.raises(ConfigError, match=r"net_arch must be a list such as \[64, 64\] \("):
        merge_layers(TYPES, [("--set", {"net_arch": "[" * 400})])


def test_python_values_are_bounded_too() -> None:
    """A dict that contains itself would never end; one of the maximal depth for files is stored and read back."""
    endless: dict[str, object] = {}
    endless["again"] = endless
    with pytest.raises(ConfigError, match=f"env_kwargs must be nested at most {MAX_DEPTH} deep"):
        A2CSettings("CartPole-v1", env_kwargs=endless)
    with pytest.raises(
        ConfigError, match="env_kwargs must be made of numbers, text, lists and mappings, not of object"
    ):
        A2CSettings("CartPole-v1", env_kwargs={"a": object()})


def test_the_deepest_value_comes_back(tmp_path: Path) -> None:
    value: dict[str, object] = {}
    for _ in range(MAX_DEPTH - 1):
        value = {"a": value}
    settings = A2CSettings("CartPole-v1", env_kwargs=value)
    write_yaml(tmp_path / "run.yaml", {"env_kwargs": settings.env_kwargs})
    assert read_yaml(tmp_path / "run.yaml") == {"env_kwargs": value}


def test_a_value_used_twice_is_written_twice(tmp_path: Path) -> None:
    shared = [1, 2]
    write_yaml(tmp_path / "run.yaml", {"env_kwargs": {"a": shared, "b": shared}})
    assert read_yaml(tmp_path / "run.yaml") == {"env_kwargs": {"a": [1, 2], "b": [1, 2]}}


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# " + 100_000 * "x", encoding="utf-8")
    with pytest.raises(ConfigError, match="has more than 100,000 characters: it is not a file of settings"):
        read_yaml(path)
