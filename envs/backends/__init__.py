"""Backends step N environments. A backend is one class in one file, with an entry in `BACKENDS`."""

from envs.backends.base import BackendEnv
from envs.errors import EnvironmentUsageError
from envs.names import load_module

Backend = str  # a name in BACKENDS, "auto", "module:Class" or "file.py:Class"

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
        backend_class(name)


def backend_class(name: Backend) -> type[BackendEnv]:
    """The class of an entry of `BACKENDS`, or of "module:Class" or "file.py:Class".

    Raises EnvironmentUsageError if it cannot be imported, or is no subclass of `BackendEnv`.
    """
    module, colon, attribute = BACKENDS.get(name, name).rpartition(":")
    if not colon:
        known = ", ".join(BACKENDS)
        raise EnvironmentUsageError(f"backend must be one of auto, {known}, or module:Class, got {name!r}")
    try:
        found = getattr(load_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever a user's module raises
        if name in BACKENDS:
            raise
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise EnvironmentUsageError(f"backend {name} cannot be imported: {problem}") from error
    if not (isinstance(found, type) and issubclass(found, BackendEnv)):
        raise EnvironmentUsageError(f"backend {name} is not a subclass of envs.backends.base.BackendEnv")
    return found


def evaluation_backend(name: Backend) -> Backend:
    """The backend on which to evaluate an agent that was trained on this one."""
    if name == "auto":
        return name
    kind = backend_class(name)
    return name if kind.evaluate_on == kind.backend else kind.evaluate_on
