"""Minari's data sets as demonstrations."""

from collections.abc import Iterable
from typing import Protocol, cast

import numpy as np

from agents.demonstrations.checks import check
from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.demonstrations.recording import describe
from envs import spaces
from envs.spaces import Array, Space

PREFIX = "minari:"


class MinariEpisode(Protocol):
    """T steps, as Minari documents them."""

    observations: object  # [T + 1, …], or a dict or tuple of such
    actions: object  # [T, …], the environment's
    rewards: Array  # [T]
    terminations: Array  # bool[T]
    truncations: Array  # bool[T]


class MinariDataset(Protocol):
    """The part of `minari.MinariDataset` that is used."""

    observation_space: Space
    action_space: Space

    def iterate_episodes(self) -> Iterable[MinariEpisode]: ...


def from_minari(dataset: MinariDataset, env_id: str | None = None) -> Demonstrations:
    """Every episode of a data set. One that neither terminated nor was truncated counts as truncated in its last step.

    env_id: what the environment is called, by default as the data set says.
    Raises UnsupportedSpace for spaces that agents here cannot use, and DemonstrationError if the data is broken.
    """
    spec = getattr(getattr(dataset, "spec", None), "env_spec", None)
    name = str(getattr(getattr(dataset, "spec", None), "dataset_id", "the data set"))
    env_id = env_id or (str(spec.id) if spec is not None else None)
    if env_id is None:
        raise DemonstrationError(f"{name}: does not say which environment it comes from; pass env_id to from_minari")
    obs_space = spaces.check_observation_space(dataset.observation_space, name)
    action_space = spaces.check_action_space(dataset.action_space, name)
    columns: list[tuple[Array, ...]] = []
    for episode in dataset.iterate_episodes():
        try:
            obs = _flat(obs_space, episode.observations)
            action = spaces.to_policy_action(action_space, np.asarray(episode.actions))
        except ValueError as error:
            raise DemonstrationError(f"{name}: {error}") from None
        terminated, truncated = (np.array(flags, bool) for flags in (episode.terminations, episode.truncations))
        if not len(truncated):
            continue
        truncated[-1] |= not terminated[-1]
        first = np.arange(len(truncated)) == 0
        reward = np.asarray(episode.rewards, np.float32)
        columns.append((obs[:-1], action, reward, obs[1:], terminated, truncated, first))
    if not columns:
        raise DemonstrationError(f"{name}: holds no step of any episode")
    obs, action, reward, next_obs, terminated, truncated, first = map(np.concatenate, zip(*columns, strict=True))
    about = describe(obs_space, action_space) | {"source": PREFIX + name}
    demonstrations = Demonstrations(
        env_id, obs, action, reward, next_obs, terminated, truncated, first, about=about
    )  # fmt: skip
    check(demonstrations, name)
    return demonstrations


def _flat(space: Space, observations: object) -> Array:
    """[T + 1, …] in one row each, and of the type that such an environment shows."""
    rows, single = spaces.batched(space, observations)
    kind = spaces.flat_form(space).dtype
    if single or not np.can_cast(rows.dtype, kind, "same_kind"):
        raise ValueError(f"observations are {rows.dtype}{list(rows.shape)}, which do not fit {spaces.brief(space)}")
    return rows.astype(kind, copy=False)


def installed(address: str) -> Demonstrations:
    """Of "minari:NAME", which must be on this machine. Raises DemonstrationError if it, or Minari, is not."""
    name = address.removeprefix(PREFIX)
    try:
        import minari
    except ModuleNotFoundError:
        raise DemonstrationError(f"{address}: needs Minari: pip install 'actor-critic[minari]'") from None
    try:
        dataset = minari.load_dataset(name)
    except FileNotFoundError:
        raise DemonstrationError(f"{address}: not on this machine; `minari download {name}` fetches it") from None
    except (ImportError, OSError, ValueError) as error:
        raise DemonstrationError(f"{address}: Minari cannot open it: {' '.join(str(error).split())}") from None
    return from_minari(cast(MinariDataset, dataset))
