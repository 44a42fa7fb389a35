"""`make`: builds `Worlds` from an environment's id, a function, an environment or a vector environment."""

from gymnasium import Env
from gymnasium.vector import VectorEnv

from envs.backends import BACKENDS, Backend, backend_class, check_backend
from envs.backends.adopted import AdoptedBackend
from envs.backends.base import BackendEnv, OnCrash, Request
from envs.build import EnvLike, Variant, name_of
from envs.errors import EnvironmentUsageError
from envs.memory import shortage
from envs.names import full_id
from envs.streams import stream_seeds
from envs.worlds import Origin, Worlds

_LONGEST_TIMEOUT = 1_000_000  # seconds; the operating system counts milliseconds in an int32


def make(
    env: EnvLike,
    num_envs: int | None = None,
    seed: int = 0,
    *,
    variant: Variant = Variant(),  # noqa: B008 - immutable
    backend: Backend = "auto",
    action_masks: bool | None = None,
    step_timeout: float | None = None,
    on_crash: OnCrash = "fail",
    part: tuple[int, int] = (0, 1),
) -> Worlds:
    """N environments, stepped together.

    env: an id ("CartPole-v1", "module:Env-v0", "ALE/Pong-v5"; without a version, the latest), a class or function by
    name ("module:Class", "file.py:Class"), a function that returns an environment, an environment (then N = 1: it
    cannot be copied), or a vector environment in SAME_STEP mode. num_envs: N, by default 8 for a name or a function.
    seed: environment i draws from child i of its stream "environments". variant: changes to each environment.

    backend: "sync" steps Gymnasium's environments one after another. "native" steps compiled classic-control
    environments, which go through the same states. "mujoco" simulates Gymnasium's MuJoCo environments of version 5 in
    threads, see `envs.backends.mujoco`. "async" steps each in its own process, which pays off if a step takes a
    millisecond or more; a function is called in that process. "envpool" uses envpool's environments and ids. "auto" is
    native for an id that has a native environment and changes only the time limit, mujoco for its ids without
    wrappers, and sync otherwise.

    action_masks: whether to obey the `action_mask` in the environments' infos. None obeys it for an id whose
    environment provides one; for other environments that provide one, it raises EnvironmentUsageError.
    Observations that are neither Box nor Discrete are flattened, see `envs.observations.FlatObservation`.

    step_timeout: seconds after which a step, a reset or the building of "async" environments raises
    EnvironmentFailure with the index of the environment that hangs; None waits forever. Other backends cannot
    interrupt an environment.

    on_crash: what happens when the process of an "async" environment dies in a step, or exceeds step_timeout: "fail"
    raises EnvironmentFailure. "restart" replaces the process and discards its episode: the step raises
    EnvironmentReplaced, with the observations to go on from.

    part: (k, n) makes only part k, counted from 0, of n equal parts of the environments, with the same seeds.

    Raises UnknownEnvironment (with the nearest known id), UnsupportedSpace, or EnvironmentUsageError.

    >>> worlds = make("CartPole-v1", num_envs=4, seed=0)
    >>> observation, _ = worlds.reset()
    >>> observation.shape, worlds.backend
    ((4, 4), 'native')
    """
    check_backend(backend)
    _check_processes(backend, step_timeout, on_crash)
    vector: BackendEnv
    if isinstance(env, VectorEnv | Env) and part[1] > 1:
        raise EnvironmentUsageError(f"an environment that is built already cannot be divided among {part[1]} processes")
    if isinstance(env, VectorEnv):
        _refuse_changes(env, num_envs, variant, backend)
        vector = env if isinstance(env, BackendEnv) else AdoptedBackend(env)
        name, gives_masks = name_of(env), None
    else:
        named = full_id(env) if isinstance(env, str) else env
        request = Request(named, num_envs, variant, step_timeout, on_crash)
        request.count = _size(request.count, part)
        chosen = _automatic(request) if backend == "auto" else backend_class(backend)
        if lacking := shortage(request.count * chosen.bytes_each):
            raise EnvironmentUsageError(
                f"num_envs={request.count} with backend={chosen.backend} needs {lacking}: lower it"
            )
        vector, name = chosen.build(request), request.name
        gives_masks = chosen.gives_masks(request) if action_masks is None else None
    masked = gives_masks if action_masks is None else action_masks
    origin = Origin(env, seed, variant, backend, action_masks, step_timeout)
    first = part[0] * vector.num_envs
    seeds = stream_seeds(seed, "environments", first + vector.num_envs)[first:]
    return Worlds(vector, name, origin, seeds, masked, part[1])


def _check_processes(backend: Backend, step_timeout: float | None, on_crash: OnCrash) -> None:
    """Raises EnvironmentUsageError for settings that need environments in separate processes."""
    if step_timeout is not None and not 0 < step_timeout <= _LONGEST_TIMEOUT:
        raise EnvironmentUsageError(
            f"step_timeout must be positive and at most {_LONGEST_TIMEOUT:,} seconds, got {step_timeout:g}; "
            "None waits forever"
        )
    given = [] if step_timeout is None else [f"step_timeout={step_timeout:g}"]
    given += [] if on_crash == "fail" else [f"on_crash={on_crash}"]
    if given and (backend == "auto" or not backend_class(backend).takes_timeout):
        able = [name for name in BACKENDS if backend_class(name).takes_timeout]
        raise EnvironmentUsageError(f"{given[0]} needs backend={' or '.join(able)}, got backend={backend}")


def _size(count: int, part: tuple[int, int]) -> int:
    """The number of environments in a part."""
    if count % part[1]:
        raise EnvironmentUsageError(
            f"num_envs={count} cannot be divided among {part[1]} processes: make it a multiple of {part[1]}"
        )
    return count // part[1]


def _automatic(request: Request) -> type[BackendEnv]:
    return next(chosen for chosen in map(backend_class, BACKENDS) if chosen.suits(request))


def _refuse_changes(env: VectorEnv, num_envs: int | None, variant: Variant, backend: Backend) -> None:
    """Raises EnvironmentUsageError if the arguments would change a vector environment, which is already built."""
    changes = variant.changes | ({} if num_envs in (None, env.num_envs) else {"num_envs": num_envs})
    for name, value in (changes | ({} if backend == "auto" else {"backend": backend})).items():
        built = f"it has {env.num_envs}" if name == "num_envs" else "it is already built"
        raise EnvironmentUsageError(f"{name}={value} cannot apply to a vector environment: {built}")
