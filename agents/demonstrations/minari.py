"""Converts Minari data sets to demonstrations."""

from typing import TYPE_CHECKING

import numpy as np

from agents.demonstrations.checks import check_demonstrations
from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.demonstrations.recording import describe_spaces
from envs import batched, spaces
from envs.extras import install_command
from envs.spaces import Array, Space

if TYPE_CHECKING:
    from minari import MinariDataset

PREFIX = "minari:"


def from_minari(dataset: "MinariDataset", env_id: str | None = None) -> Demonstrations:
    """Every episode of a data set. An episode without an end is marked as truncated at its last step.

    env_id: the environment's id; by default that in the data set.
    Raises UnsupportedSpace for spaces that our agents do not support, and DemonstrationError if the data is invalid.
    """
    spec = getattr(getattr(dataset, "spec", None), "env_spec", None)
    name = str(getattr(getattr(dataset, "spec", None), "dataset_id", "the data set"))
    env_id = env_id or (str(spec.id) if spec is not None else None)
    if env_id is None:
        raise DemonstrationError(f"{name}: has no environment id; pass env_id to from_minari")
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
        start = np.arange(len(truncated)) == 0
        reward = np.asarray(episode.rewards, np.float32)
        columns.append((obs[:-1], action, reward, obs[1:], terminated, truncated, start))
    if not columns:
        raise DemonstrationError(f"{name}: contains no transition")
    obs, action, reward, next_obs, terminated, truncated, start = map(np.concatenate, zip(*columns, strict=True))
    metadata = describe_spaces(obs_space, action_space) | {"source": PREFIX + name}
    demonstrations = Demonstrations(
        env_id, obs, action, reward, next_obs, terminated, truncated, start, metadata=metadata
    )
    check_demonstrations(demonstrations, name)
    return demonstrations


def _flat(space: Space, observations: object) -> Array:
    """Observations [T + 1, …] of the space, flattened as `envs.Worlds` does, with the dtype of its flat form."""
    rows, single = batched(space, observations)
    kind = spaces.flat_form(space).dtype
    if single or not np.can_cast(rows.dtype, kind, "same_kind"):
        raise ValueError(f"observations are {rows.dtype}{list(rows.shape)}, which are not of {spaces.brief(space)}")
    return rows.astype(kind, copy=False)


def load_minari(address: str) -> Demonstrations:
    """The local data set "minari:NAME". Raises DemonstrationError if it, or Minari, is not installed."""
    name = address.removeprefix(PREFIX)
    try:
        import minari
    except ModuleNotFoundError:
        raise DemonstrationError(f"{address}: needs Minari: {install_command('minari')}") from None
    try:
        dataset = minari.load_dataset(name)
    except FileNotFoundError:
        raise DemonstrationError(f"{address}: not on this machine; get it by `minari download {name}`") from None
    except (ImportError, OSError, ValueError) as error:
        raise DemonstrationError(f"{address}: Minari cannot open it: {' '.join(str(error).split())}") from None
    return from_minari(dataset)
