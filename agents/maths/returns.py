"""Temporal-difference errors, generalized advantage estimation, explained variance."""

import torch
from torch import Tensor


def td_error(v: Tensor, reward: Tensor, discount: Tensor, v_next: Tensor) -> Tensor:
    """δ = r + d · V(s′) − V(s), where d = γ (1 − terminated).

    All float[T, N]. Returns float[T, N], in units of return; V(s′) is not differentiated.
    A truncated row keeps its bootstrap: s′ is the true last observation and d is γ there.
    Raises ValueError if the shapes differ. Source: Sutton & Barto 2018, section 13.5.
    """
    _check_shapes(v=v, reward=reward, discount=discount, v_next=v_next)
    return reward + discount * v_next.detach() - v


def gae(delta: Tensor, ended: Tensor, decay: float) -> Tensor:
    """A_t = δ_t + γλ (1 − ended_t) A_{t+1}, with A_T = 0.

    delta: float[T, N] of TD errors; ended: bool[T, N], terminated or truncated, cuts the trace (not the
    bootstrap, which is part of δ); decay: γλ. λ = 0 gives δ itself; λ = 1 gives the n-step advantage.
    Returns float[T, N]. Raises ValueError if the shapes differ. Source: Schulman et al. 2016, equation 16.
    """
    _check_shapes(delta=delta, ended=ended)
    if delta.shape[0] == 1:
        return delta
    keep = decay * (1.0 - ended.to(delta.dtype))
    advantage = [delta[-1]]
    for t in range(delta.shape[0] - 2, -1, -1):
        advantage.append(delta[t] + keep[t] * advantage[-1])
    return torch.stack(advantage[::-1])


def standardized(x: Tensor) -> Tensor:
    """(x − mean) / (s + 1e-8), where s is the sample standard deviation over all elements; a single one stays."""
    return x if x.numel() == 1 else (x - x.mean()) / (x.std() + 1e-8)


def explained_variance(v: Tensor, target: Tensor) -> Tensor:
    """1 − Var(target − v) / Var(target), over all elements: 1 is perfect, 0 no better than a constant.

    Both float[T, N]. Returns a scalar, NaN where the targets do not vary. Raises ValueError if the shapes differ.
    """
    _check_shapes(v=v, target=target)
    variance = target.var(correction=0)
    return torch.where(variance > 0, 1 - (target - v).var(correction=0) / variance, torch.nan)


def _check_shapes(**tensors: Tensor) -> None:
    """[N] − [N, 1] broadcasts silently to [N, N]; so every shape must be the same [T, N]."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        raise ValueError(f"expected tensors of one shape [T, N], got {shapes}")
