"""Private names of Gymnasium and Numba that the code uses: an upgrade that renames one fails here, by name.

pyproject.toml bounds both packages for this reason.
"""

import importlib
from functools import partial

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from numba import njit

IMPORTED = [  # module, class or function, attribute that is overridden
    ("gymnasium.vector.async_vector_env", "_async_worker", ""),  # envs/backends/processes.py: runs in each process
    ("gymnasium.vector", "VectorEnv", "_add_info"),  # envs/backends/guard.py: merges infos
    ("gymnasium.vector", "AsyncVectorEnv", "close_extras"),  # envs/backends/processes.py: kills hanging processes
    ("numba.core.caching", "_CacheLocator", "from_function"),  # envs/kernels.py: where kernels are cached
    ("numba.core.caching", "_CacheLocator", "get_cache_path"),
    ("numba.core.caching", "_CacheLocator", "get_source_stamp"),
    ("numba.core.caching", "_CacheLocator", "get_disambiguator"),
    ("numba.core.caching", "CompileResultCacheImpl", "_locator_classes"),
    ("numba.core.caching", "FunctionCache", "_impl_class"),
    ("numba.core.event", "Listener", "on_start"),  # envs/kernels.py: notices compilation
    ("numba.core.event", "install_listener", ""),
]
OF_SYNC = ["_observations", "_env_obs"]  # envs/backends/sync.py: its step and a reset of some environments
OF_ASYNC = ["_state", "parent_pipes", "processes", "error_queue", "observations"]  # envs/backends/processes.py


@pytest.mark.parametrize(("module", "name", "attribute"), IMPORTED)
def test_an_imported_name(module, name, attribute):
    found = getattr(importlib.import_module(module), name)
    assert not attribute or hasattr(found, attribute)


@pytest.mark.parametrize("name", OF_SYNC)
def test_an_attribute_of_sync_vector_environments(name):
    assert hasattr(SyncVectorEnv([partial(gym.make, "CartPole-v1")]), name)


@pytest.mark.parametrize("name", OF_ASYNC)
def test_an_attribute_of_async_vector_environments(name):
    worlds = AsyncVectorEnv([partial(gym.make, "CartPole-v1")], context="forkserver")
    assert hasattr(worlds, name)
    worlds.close()


def test_the_steps_of_a_time_limit():
    """envs/build.py compares them with max_episode_steps."""
    assert gym.wrappers.TimeLimit(gym.make("CartPole-v1"), 3)._max_episode_steps == 3


def test_the_generator_of_a_space():
    """envs/snapshot.py and envs/encoding.py save and restore it."""
    assert hasattr(gym.spaces.Discrete(2), "_np_random")


def test_the_cache_and_the_entry_points_of_a_dispatcher():
    """envs/kernels.py replaces the former, and returns the latter."""
    dispatcher = njit(lambda x: x)
    assert hasattr(dispatcher, "_cache")
    assert hasattr(dispatcher, "compile")
