"""Compares our evaluation of a model with Stable-Baselines3's `evaluate_policy`."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from agents.a2c import A2C
from agents.evaluation import Evaluation, evaluate
from agents.sb3.convert import to_sb3
from envs.streams import stream_seeds
from rl.experiments.lockstep.environments import seeded_envs

_ENVS = 20  # environments that `evaluate` plays in


class Comparison(NamedTuple):
    """The same deterministic episodes played by both, and different stochastic ones."""

    episodes: int
    shortest: int  # length of an episode
    longest: int
    returns: float  # largest difference of an episode's returns, relative to the largest return
    lengths: int  # largest difference of an episode's lengths
    p_stochastic: float  # two-sample Kolmogorov–Smirnov test of returns


def trained(env_id: str, normalize: bool, steps: int, learning_rate: float) -> A2C:
    """Our agent after some training. normalize: whether to normalize observations."""
    return A2C(env_id, n_steps=5, learning_rate=learning_rate, normalize_observations=normalize).learn(steps)


def compared(agent: A2C, episodes: int, seed: int) -> Comparison:
    """episodes: a multiple of 20, so that SB3 also plays equally many in each environment.

    Our stochastic episodes start from other seeds than SB3's.
    """
    ours = evaluate(agent, agent.env, episodes, True, seed)
    theirs = sb3_evaluation(agent, episodes, True, seed)
    stochastic = [
        evaluate(agent, agent.env, episodes, False, seed + 1),
        sb3_evaluation(agent, episodes, False, seed + 2),
    ]
    return Comparison(
        episodes,
        int(theirs.lengths.min()),
        int(theirs.lengths.max()),
        float(np.abs(ours.returns - theirs.returns).max() / np.abs(theirs.returns).max()),
        int(np.abs(ours.lengths - theirs.lengths).max()),
        float(stats.ks_2samp(*(side.returns for side in stochastic)).pvalue),
    )


def sb3_evaluation(agent: A2C, episodes: int, deterministic: bool, seed: int) -> Evaluation:
    """What `evaluate_policy` returns for the agent as an SB3 model, in the order of `agents.evaluation.evaluate`.

    SB3's environments start with the seeds of `evaluate`. Episode k is the ⌊k/20⌋-th of environment k mod 20.
    """
    model = to_sb3(agent)
    seeds = stream_seeds(stream_seeds(seed, "evaluation", 1)[0], "environments", _ENVS)
    envs: VecEnv = seeded_envs(str(agent.env), seeds, agent.variant)
    norm = model.get_vec_normalize_env()
    if norm is not None:
        envs = VecNormalize(envs, training=False, norm_reward=False, clip_obs=norm.clip_obs)
        envs.obs_rms = norm.obs_rms
    found: list[list[tuple[float, int]]] = [[] for _ in seeds]

    def note(local: Mapping[str, object], _: object) -> None:
        """Called for each environment after each step; `info` holds Monitor's statistics at an episode's end."""
        info, i = local["info"], local["i"]
        assert isinstance(info, dict)
        assert isinstance(i, int)
        if "episode" in info:
            found[i].append((info["episode"]["r"], info["episode"]["l"]))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        evaluate_policy(model, envs, episodes, deterministic, callback=note)
    envs.close()
    returns, lengths = np.array(found).transpose(2, 1, 0).reshape(2, -1)
    return Evaluation(returns, lengths.astype(np.int64), deterministic, 0)
