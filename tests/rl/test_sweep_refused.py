"""`python -m rl.sweep`: what is refused before the first trial."""

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.rl.conftest import SPACE


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--trials", "0"], "--trials must be at least 1, got 0"),
        (["--jobs", "x"], "--jobs must be a whole number"),
        (["--name", "a/b"], "--name is the name of files"),
        (["--name", ""], "--name is the name of files, got ''"),
        (["--seeds", "x"], "--seeds takes a range"),
        (["--set", "seed=1"], "--set seed: a search takes it from --seeds"),
        (["--set", "total_timesteps=1"], "takes it from --total-timesteps"),
        (["--set", "gama=1"], "did you mean 'gamma'?"),
        (
            ["--set", "gamma=1", "--set", "target_policy_shift=null", "--set", "max_policy_shift=null"],
            "nothing is left",
        ),
        (["--try", "gamma"], "--try takes key=value, got 'gamma'"),
        (["--try", "gamma=0.5"], "--try: gamma=0.5 is not in the space, uniform(0.9, 1.0)"),
        (["--try", "n_steps=5"], "--try: n_steps is not searched"),
        (["--space", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--set", "env_kwargs={x: 1}"], "unexpected keyword argument"),
    ],
)
def test_usage_errors(argv: list[str], words: str, sweep: Command, tmp_path: Path) -> None:
    status, _, err = sweep(*argv)
    assert status == 2
    assert err.count("\n") == 1
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "--write takes the path of a file, and {} is a folder"),
        ("space.yaml/best.yaml", "space.yaml is not a folder"),
        ("space.yaml", "space.yaml is not YAML"),
    ],
)
def test_a_recipe_that_cannot_be_written_is_refused_before_the_first_trial(
    name: str, words: str, sweep: Command, tmp_path: Path
) -> None:
    space = tmp_path.parent / f"{tmp_path.name}.yaml"
    space.write_text(SPACE)
    (tmp_path / "space.yaml").write_text("{")
    status, out, err = sweep("--trials", "1", "--space", space, "--write", tmp_path / name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words.format(tmp_path) in err
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]
