"""Running moments, observation and reward normalizers: `agents.maths.normalize`, compiled. norms: `memory.Norms`.

ranks: see `agents.fused.ranks`.
"""

import math

from agents.fused.ranks import call_gather, is_alone
from envs.kernels import kernel, overload_of


@kernel
def merge(count, mean, m2, k, rows, batch_mean, batch_m2):
    """Adds a batch, given by its mean and sum of squared deviations, to the moments of feature k."""
    total, delta = count + rows, batch_mean - mean[k]
    m2[k] += batch_m2 + delta * delta * (count * rows / total)
    mean[k] += delta * (rows / total)


@kernel
def merge_moments(count, mean, m2, x):
    """Adds a batch x, float64[B, D], to running moments, like `agents.maths.normalize.RunningMoments.update`."""
    rows, total = len(x), count[0] + len(x)
    for k in range(x.shape[1]):
        batch_mean, batch_m2 = 0.0, 0.0
        for r in range(rows):
            batch_mean += x[r, k]
        batch_mean /= rows
        for r in range(rows):
            batch_m2 += (x[r, k] - batch_mean) ** 2
        merge(count[0], mean, m2, k, rows, batch_mean, batch_m2)
    count[0] = total


@kernel
def normalize_rows(norms, bound, raw, x):
    """x = clip((raw − μ) / √(σ² + 1e-8), ±bound). Both [B, D]."""
    count = norms.obs_count[0]
    for k in range(raw.shape[1]):
        mean = norms.obs_mean[k]
        deviation = math.sqrt((norms.obs_m2[k] / count if count > 0 else 1.0) + 1e-8)
        for r in range(len(raw)):
            x[r, k] = min(max((raw[r, k] - mean) / deviation, -bound), bound)


@kernel
def scale_and_clip(reward, scale, bound):
    """r ← clip(scale · r, ±bound). reward: [T, N]."""
    scale, bound = reward.dtype.type(scale), reward.dtype.type(bound)
    for t in range(reward.shape[0]):
        for i in range(reward.shape[1]):
            reward[t, i] = min(max(scale * reward[t, i], -bound), bound)


@kernel
def normalize_rewards(norms, gamma, bound, steps, reward, everywhere, terminated, truncated):
    """Updates the moments of the discounted return, then r ← clip(r / √(σ² + 1e-8), ±bound). reward: [T, N].

    everywhere, terminated, truncated: over the environments of all ranks, [T, N · ranks].
    """
    envs = len(norms.returns)
    for t in range(steps):
        for i in range(envs):
            norms.returns[i] = gamma * norms.returns[i] + everywhere[t, i]
        merge_moments(norms.reward_count, norms.reward_mean, norms.reward_m2, norms.returns.reshape(envs, 1))
        for i in range(envs):
            if terminated[t, i] or truncated[t, i]:
                norms.returns[i] = 0.0
    number = reward.dtype.type
    bound = number(bound)
    deviation = number(math.sqrt(norms.reward_m2[0] / norms.reward_count[0] + 1e-8))
    for t in range(steps):
        for i in range(reward.shape[1]):
            reward[t, i] = min(max(reward[t, i] / deviation, -bound), bound)


def normalize_rewards_of(ranks, batch, norms, gamma, bound, steps):
    """`normalize_rewards` for the batch, with statistics of all environments."""


def observe(ranks, count, mean, m2, x):
    """Adds the rows x of all ranks, float64[B, D] each, to running moments."""


@kernel
def _everywhere(ranks, batch):
    steps, envs = batch.reward.shape
    for t in range(steps):
        for i in range(envs):
            ranks.own_rewards[t, i, 0] = batch.reward[t, i]
            ranks.own_rewards[t, i, 1], ranks.own_rewards[t, i, 2] = batch.terminated[t, i], batch.truncated[t, i]
    call_gather(ranks.own_rewards, ranks.rewards)
    for k in range(ranks.world_size):
        for t in range(steps):
            for i in range(envs):
                row = ranks.rewards[k, t, i]
                ranks.reward[t, k * envs + i] = row[0]
                ranks.terminated[t, k * envs + i], ranks.truncated[t, k * envs + i] = row[1] > 0, row[2] > 0


@overload_of(normalize_rewards_of)
def _normalize_rewards_of(ranks, batch, norms, gamma, bound, steps):
    def alone(ranks, batch, norms, gamma, bound, steps):
        normalize_rewards(norms, gamma, bound, steps, batch.reward, batch.reward, batch.terminated, batch.truncated)

    def together(ranks, batch, norms, gamma, bound, steps):
        _everywhere(ranks, batch)
        normalize_rewards(norms, gamma, bound, steps, batch.reward, ranks.reward, ranks.terminated, ranks.truncated)

    return alone if is_alone(ranks) else together


@kernel
def _observe_everywhere(ranks, count, mean, m2, x):
    rows, features = len(x), ranks.features
    for k in range(x.shape[1]):
        features[0, k] = features[1, k] = 0.0
        for r in range(rows):
            features[0, k] += x[r, k]
        features[0, k] /= rows
        for r in range(rows):
            features[1, k] += (x[r, k] - features[0, k]) ** 2
    call_gather(features, ranks.all_features)
    for other in range(ranks.world_size):
        for k in range(x.shape[1]):
            merge(count[0], mean, m2, k, rows, ranks.all_features[other, 0, k], ranks.all_features[other, 1, k])
        count[0] += rows


@overload_of(observe)
def _observe(ranks, count, mean, m2, x):
    if is_alone(ranks):
        return lambda ranks, count, mean, m2, x: merge_moments(count, mean, m2, x)
    return lambda ranks, count, mean, m2, x: _observe_everywhere(ranks, count, mean, m2, x)
