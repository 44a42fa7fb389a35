"""A run computes the same whether its kernels were just compiled or loaded from disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from agents import registry
agent = registry.build("stream", "CartPole-v1", {"seed": 0, "engine": "fused"})
agent.learn(4000)
print([float(p.detach().double().sum()).hex() for net in agent.networks for p in net.parameters()])
"""


@pytest.mark.slow
def test_kernels_compiled_and_loaded_compute_the_same(tmp_path: Path) -> None:
    """A compiled sum must not depend on its caller: LLVM may order it differently wherever it is inlined."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout.startswith("[")
    assert first.stdout == second.stdout
