"""A network module or algorithm edited after training gives a one-line error, whatever no longer fits."""

import importlib
import sys
from pathlib import Path

import pytest

import rl.evaluate
import rl.train
from agents import A2C, registry
from agents.checkpoint import CheckpointError
from tests.conftest import Command
from tests.runs import run_of

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, space):
        super().__init__()
        self.features_dim = 8
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 8)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))
"""
LAYERS = "self.first = nn.Linear(4, 8)\n        self.second = nn.Linear(8, 8)"
EDITS = {
    "another width": (LAYERS, LAYERS.replace("(4, 8)", "(4, 9)").replace("(8, 8)", "(9, 8)")),
    "another number of features": ("8)\n\n", "6)\n        self.features_dim = 6\n\n"),
    "another name": ("second", "last"),
    "a new layer": ("8)\n\n", "8)\n        self.third = nn.Linear(8, 8)\n\n"),
    "a buffer": ("8)\n\n", "8)\n        self.register_buffer('scale', torch.ones(1))\n\n"),
    "another order": (LAYERS, "\n        ".join(reversed(LAYERS.split("\n        ")))),
    "an error of its own": ("8)\n\n", "8)\n        self.register_load_state_dict_pre_hook(lambda *_: 1 / 0)\n\n"),
    "it cannot be built": ("super().__init__()", "raise OSError('gone')"),
    "it cannot be imported": ("class Net", "class Other"),
}


def write(folder: Path, text: str) -> None:
    """Writes the module and makes Python import it anew."""
    (folder / "edited_net.py").write_text(text)
    sys.modules.pop("edited_net", None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_network(edit: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python cannot tell edits within one second apart
    write(tmp_path, MODULE)
    argv = ["--total-timesteps", "64", "--set", "network=edited_net:Net", "--set", "eval_episodes=1"]
    assert command(rl.train, "CartPole-v1", *argv, "--out", tmp_path)[0] == 0
    run = run_of(tmp_path)
    old, new = EDITS[edit]
    assert old in MODULE
    write(tmp_path, MODULE.replace(old, new))
    for module, *given in ((rl.train, "--resume", run, "--total-timesteps", "128"), (rl.evaluate, run)):
        status, _, err = command(module, *given)
        assert (status, err.count("\n")) == (2, 1)
        assert "edited_net:Net cannot be used" in err or "edited_net:Net was edited after training, restore it" in err
    write(tmp_path, MODULE)
    assert command(rl.train, "--resume", run, "--total-timesteps", "128")[0] == 0, "nothing was changed by the failure"
    sys.modules.pop("edited_net", None)


def test_an_agent_that_has_one_part_less(tmp_path: Path) -> None:
    agent = A2C("CartPole-v1", num_envs=1)
    agent.memory = agent.learner.optimizer  # type: ignore[attr-defined]
    path = agent.save(tmp_path / "a")
    with pytest.raises(CheckpointError, match="there is no place for its memory"):
        registry.load(path)
