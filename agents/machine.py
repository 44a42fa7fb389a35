"""The machine: torch's threads, versions, the processor."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets the number of torch's threads within a `with` block. One is fastest for small networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def say_compiling() -> None:
    """Prints why the script is waiting."""
    sys.stderr.write("compiling kernels for this machine, once\n")


_PACKAGES = ("actor-critic", "torch", "numba", "numpy", "gymnasium", "stable-baselines3")


def versions() -> dict[str, str]:
    """Versions of this package, the packages on which results depend, Python and the operating system."""
    packages = {name: _version(name) for name in _PACKAGES}
    return packages | {"python": platform.python_version(), "platform": platform.platform()}


def machine() -> str:
    """One line for result pages: the processor, its cores, and the versions of Python and the packages."""
    cpu = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpu.read_text(encoding="utf-8")) if cpu.is_file() else []
    model = names[0] if names else platform.processor() or platform.machine()
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES[1:])
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
