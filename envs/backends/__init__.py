"""Backends step N environments. A backend is one class in one file, with an entry in `BACKENDS`."""

import importlib

from envs.backends.base import BackendEnv
from envs.errors import EnvironmentUsageError

Backend = str  # a name in BACKENDS, or "auto"

BACKENDS = {  # name → module:Class, imported on demand; "auto" takes the first suitable one
    "native": "envs.backends.native:NativeBackend",
    "mujoco": "envs.backends.mujoco:MujocoBackend",
    "sync": "envs.backends.sync:SyncBackend",
    "async": "envs.backends.processes:ProcessBackend",
    "envpool": "envs.backends.envpool:EnvpoolBackend",
}


def check_backend(name: Backend) -> None:
    """Raises EnvironmentUsageError if there is no backend of this name."""
    if name not in ("auto", *BACKENDS):
        raise EnvironmentUsageError(f"backend must be one of auto, {', '.join(BACKENDS)}, got {name!r}")


def backend_class(name: str) -> type[BackendEnv]:
    module, _, attribute = BACKENDS[name].partition(":")
    found: type[BackendEnv] = getattr(importlib.import_module(module), attribute)
    return found


def evaluation_backend(name: Backend) -> Backend:
    """The backend on which to evaluate an agent that was trained on this one."""
    check_backend(name)
    return name if name == "auto" else backend_class(name).evaluate_on
