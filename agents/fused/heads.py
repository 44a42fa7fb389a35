"""The policy's head: from network outputs or from a rollout to parameters, actions, losses and their gradients.

head, work: see `agents.fused.head_arrays`. z: float64[rows, P], the parameters in the form of
`agents.fused.densities`; a bit with logit x has the two logits (0, x). behavior: the parameters in a rollout's form,
−inf for an illegal action. order: int64[rows], indices of these rows in the rollout.
"""

import math

import numpy as np

from agents.fused.densities import (
    categorical_js,
    categorical_kl,
    categorical_kl_slopes,
    categorical_log_probs,
    categorical_losses,
    categorical_samples,
    gaussian_kl,
    gaussian_kl_slopes,
    gaussian_log_probs,
    gaussian_losses,
    squared_scores,
)
from agents.fused.squashed import add_squashing, inner, squash
from envs.kernels import inlined, kernel


@inlined
def log_std_of(head, log_std, out, r, k):
    """ln σ of dimension k in row r of the outputs."""
    lowest, largest = head.log_std_range
    of_state = min(max(head.log_std_init + out[r, head.size + k], lowest), largest) if head.outputs_std else 0.0
    return of_state if head.outputs_std else log_std[k]


@inlined
def stored(head, behavior, order, z):
    """z of the parameters stored in these rows of behavior."""
    for r in range(len(order)):
        row = order[r]
        if head.bits:
            for k in range(head.size):
                z[r, 2 * k], z[r, 2 * k + 1] = 0.0, behavior[row, k]
        else:
            for k in range(behavior.shape[1]):
                z[r, k] = behavior[row, k]


@inlined
def current(head, log_std, out, behavior, order, z):
    """z of the network's outputs, [≥ rows, ≥ A]; actions that are illegal in behavior are illegal here."""
    size = head.size
    for r in range(len(order)):
        if head.bits:
            for k in range(size):
                z[r, 2 * k], z[r, 2 * k + 1] = 0.0, out[r, k]
        elif head.gaussian:
            for k in range(size):
                z[r, k], z[r, size + k] = out[r, k], log_std_of(head, log_std, out, r, k)
        else:
            for k in range(size):
                z[r, k] = -math.inf if behavior[order[r], k] == -math.inf else out[r, k]


@inlined
def store(head, log_std, out, legal, begin, end, behavior):
    """Writes the parameters of the outputs to behavior, in rows begin … end − 1. legal: bool[≥ end − begin, A]."""
    size = head.size
    for r in range(begin, end):
        for k in range(size):
            behavior[r, k] = out[r, k] if legal[r - begin, k] else -math.inf
        for k in range(size, behavior.shape[1]):
            behavior[r, k] = log_std_of(head, log_std, out, r, k - size)


@inlined
def sample(head, behavior, order, noise, discrete, continuous, z):
    """Draws actions for the rows in `order`, which are consecutive. noise: [rows, `noises` of the head].

    The noise is normal for a Gaussian, otherwise uniform on [0, 1).
    """
    if head.gaussian:
        for k in range(head.size):
            log_std = behavior[order[0], head.size + k]
            std = np.exp(log_std)
            for r in range(len(order)):
                row = order[r]
                if behavior[row, head.size + k] != log_std:  # often equal in all rows
                    log_std = behavior[row, head.size + k]
                    std = np.exp(log_std)
                u = behavior[row, k] + std * noise[r, k]
                continuous[row, k] = squash(head.bounds, k, u)
    elif head.bits:
        for r in range(len(order)):
            for k in range(head.size):
                discrete[order[r], k] = noise[r, k] < 1 / (1 + math.exp(-np.float64(behavior[order[r], k])))
    else:
        stored(head, behavior, order, z)
        categorical_samples(head.sizes, z[: len(order)], noise, discrete, order[0])


@kernel
def choose(head, log_std, out, legal, behavior, order, noise, discrete, continuous, z):
    """`store`, then `sample`, for consecutive rows."""
    store(head, log_std, out, legal, order[0], order[0] + len(order), behavior)
    sample(head, behavior, order, noise, discrete, continuous, z)


@inlined
def policy_losses(head, z, discrete, continuous, order, advantage, ent_coef, share, g, work):
    """Returns Σ −ln π(a) Â and Σ H; g = share · ∂(−ln π(a) Â − c H)/∂z, c = ent_coef. advantage: [rows]."""
    if head.gaussian:
        u, rows = inner(head, continuous, order, work)
        loss, entropy = gaussian_losses(head.size, z, u, rows, advantage, ent_coef, share, g)
        more, further = add_squashing(head, z, u, advantage, ent_coef, share, g)
        loss, entropy = loss + more, entropy + further
    else:
        loss, entropy = categorical_losses(head.sizes, z, discrete, order, advantage, ent_coef, share, g)
    return loss, entropy


@inlined
def log_probs(head, z, discrete, continuous, order, log_prob, work):
    """Writes ln π(a) to log_prob, [rows]; for squashed actions, up to a term without parameters: ln N(u)."""
    if head.gaussian:
        u, rows = inner(head, continuous, order, work)
        gaussian_log_probs(head.size, z, u, rows, log_prob)
    else:
        categorical_log_probs(head.sizes, z, discrete, order, log_prob)


@kernel
def shifts(head, before, z, e):
    """Σ KL(π_before ‖ π) and Σ JS over the rows; JS is NaN unless there is one factor."""
    kl_sum, js_sum = 0.0, 0.0
    for r in range(len(z)):
        if head.gaussian:
            kl_sum += gaussian_kl(head.size, before, z, r)
        end = 0
        for k in range(len(head.sizes)):
            begin, end = end, end + head.sizes[k]
            kl, mean = categorical_kl(before, z, r, begin, end, e)
            kl_sum += kl
            if len(head.sizes) == 1:
                js_sum += categorical_js(before, z, r, begin, end, kl, mean, e)
    return kl_sum, js_sum if len(head.sizes) == 1 else np.nan


@inlined
def add_kl_slopes(head, before, z, weight, g, e):
    """Adds weight · ∂KL(π_before ‖ π)/∂z to g."""
    if head.gaussian:
        gaussian_kl_slopes(head.size, before, z, weight, g)
    else:
        categorical_kl_slopes(head.sizes, before, z, weight, g, e)


@inlined
def to_outputs(head, z, g, delta, log_std_slope):
    """Converts the gradient with respect to z to delta, that of the outputs, [≥ rows, width], and the log-std's."""
    size, step, shift = head.size, 2 if head.bits else 1, 1 if head.bits else 0
    for r in range(len(g)):
        for k in range(size):
            delta[r, k] = g[r, step * k + shift]
        for k in range(size, delta.shape[1]):
            delta[r, k] = 0
    if head.outputs_std:
        for r in range(len(g)):
            for k in range(size, 2 * size):
                delta[r, k] = g[r, k] if head.log_std_range[0] < z[r, k] < head.log_std_range[1] else 0
    elif head.gaussian:
        for k in range(size):
            total = 0.0
            for r in range(len(g)):
                total += g[r, size + k]
            log_std_slope[k] = total


@kernel
def output_gradient(
    head, log_std, out, behavior, discrete, continuous, order, advantage, ent_coef, share, work, delta, log_std_slope
):
    """Returns Σ −ln π(a) Â and Σ H; delta and log_std_slope: share · the gradients of Σ [−ln π(a) Â − c H]."""
    z, g = work.z[: len(order)], work.g[: len(order)]
    current(head, log_std, out, behavior, order, z)
    loss, entropy = policy_losses(head, z, discrete, continuous, order, advantage, ent_coef, share, g, work)
    to_outputs(head, z, g, delta, log_std_slope)
    return loss, entropy


@kernel
def relative_score(head, z, discrete, e):
    """‖∇_z ln p(a)‖² / E_b ‖∇_z ln p(b)‖² for the discrete action in row 0; 0 if it is certain.

    See `agents.maths.distributions.Categorical.relative_score`.
    """
    own, mean, end = 0.0, 0.0, 0
    for k in range(len(head.sizes)):
        begin, end = end, end + head.sizes[k]
        squares = squared_scores(z, 0, begin, end, begin + discrete[0, k], e)
        own, mean = own + squares[0], mean + squares[1]
    return own / mean if mean > 0 else 0.0
