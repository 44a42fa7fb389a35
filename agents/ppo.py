"""PPO: several epochs of minibatches on each rollout, within a trust region. One epoch of one minibatch is A2C."""

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor

from agents.a2c import A2C
from agents.engines import Engine
from agents.maths.distributions import Distribution
from agents.maths.returns import explained_variance
from agents.maths.schedules import value_at, value_if_set
from agents.minibatches import Columns, Shuffle
from agents.networks.encoders import RecurrentInput
from agents.networks.forward import Inputs, policy_and_value
from agents.rollout import Metrics, Rollout
from agents.settings.ppo import PPOSettings
from agents.settings.values import ConfigError
from agents.shift import NOT_MEASURED, shortened
from envs.streams import stream_seeds


class Samples(NamedTuple):
    """The data for an update's gradient steps: [1, T · N, …], or [T, N, …] for recurrent networks."""

    x: Tensor  # observations as the networks see them
    legal: Tensor | None
    recurrent: RecurrentInput | None
    action: Tensor
    behavior: Tensor  # parameters of π_before
    log_prob: Tensor  # ln π_before(a|s)
    advantage: Tensor
    target: Tensor  # of V
    v: Tensor  # V before the update

    def take(self, columns: Columns) -> Self:
        """The samples of a minibatch."""
        legal, recurrent = self.legal, self.recurrent
        if recurrent is not None:
            recurrent = RecurrentInput(recurrent.state[columns], recurrent.ended[:, columns])
        chosen = columns if isinstance(columns, slice) else torch.from_numpy(columns).to(self.x.device)
        x, *others = (part[:, chosen] for part in (self.x, *self[3:]))
        return type(self)(x, None if legal is None else legal[:, chosen], recurrent, *others)


class Loss(NamedTuple):
    """The loss of a minibatch."""

    total: Tensor
    metrics: Metrics
    pi: Distribution


class Added(NamedTuple):
    """A term that an algorithm around PPO adds to every minibatch's loss, from other policies at the same states."""

    policies: Tensor  # parameters of K policies at the observations of a rollout, [T, N, K, P]
    term: Callable[[Loss, Tensor, float], Loss]  # the loss, the policies [1, B, K, P], progress → the loss with it

    def laid_out(self, samples: Samples) -> "Added":
        """The term, with the policies in the order of the samples."""
        return self if samples.recurrent is not None else self._replace(policies=self.policies.flatten(0, 1)[None])

    def __call__(self, loss: Loss, columns: Columns, progress: float) -> Loss:
        return self.term(loss, self.policies[:, columns], progress)


_OF_A2C = ("objective", "policy_loss")  # methods of A2C that PPO does not call


class PPO(PPOSettings, A2C):
    """Policy π_θ and value V_φ, updated by `n_epochs` passes over each rollout, `batch_size` steps at a time.

    Its arguments are the fields of `agents.settings.ppo.PPOSettings`: the environment, and settings by keyword.
    A subclass that changes `loss` or `advantages` runs on the torch engine unless it declares `engines`.
    Raises ValueError on a setting out of range, and as `envs.make` does.
    Source: Schulman et al. 2017, "Proximal policy optimization algorithms".
    """

    name = "ppo"
    engines = ("fused", "torch")
    held: ClassVar[dict[str, str]] = {
        **A2C.held,
        "shuffle": "the engine holds it; load a state_dict into it",
        **dict.fromkeys(_OF_A2C, "PPO does not call it; replace loss"),
    }

    def __init_subclass__(cls) -> None:
        """Raises ConfigError on a method of A2C's update that PPO does not call."""
        super().__init_subclass__()
        for name in _OF_A2C:
            if getattr(cls, name) is not getattr(A2C, name):
                raise ConfigError(f"{cls.__name__}.{name} would never be called: PPO's loss is loss(part, progress)")

    def build(self, generator: Generator) -> None:
        rows = self.worlds.total_envs * self.n_steps
        if self.normalize_advantage and not self.by_sequence and rows % self.batch_size == 1:
            raise ConfigError(
                f"normalize_advantage needs more than one step per minibatch, and the last of {rows} steps in "
                f"minibatches of {self.batch_size} would be alone: change batch_size or n_steps"
            )
        self.shuffle = Shuffle(stream_seeds(self.seed, "minibatches", 1)[0])
        super().build(generator)

    @property
    def step_rows(self) -> int:
        rows = super().step_rows
        return rows if self.by_sequence else min(self.batch_size, rows)

    def fused_engine(self) -> Engine:
        from agents.fused.engine import Fused  # imports Numba
        from agents.fused.ppo_shared import SharedPPO

        return Fused(self.learner, SharedPPO(self.learner, self, self.shuffle))

    # --- the algorithm ---

    def learn_from(self, batch: Rollout, progress: float = 0.0, added: Added | None = None) -> Metrics:
        """Epochs of gradient steps on minibatches, until the policy leaves the trust region."""
        learner, optimizer, policy = self.learner, self.learner.optimizer, [*self.policy.parameters()]
        learner.observe_rewards(batch)
        inputs = learner.inputs(batch)
        samples, shift = self.samples(batch, inputs), learner.shift(batch, inputs)
        limit, kl = value_if_set(self.max_policy_shift, progress), None
        losses, norms = list[Metrics](), list[Tensor]()
        optimizer.set_rates(progress)
        added = added and added.laid_out(samples)
        for _ in range(self.n_epochs):
            before = [] if limit is None else [p.clone() for p in policy]
            inside = self._epoch(samples, progress, losses, norms, added)
            kl = None if limit is None else shift()
            if kl is not None and limit is not None and bool(kl > limit):
                kl = shortened(policy, before, shift, limit) if self.shift_excess == "shorten" else kl
                break
            if not inside:
                break
        means = {name: torch.stack([loss[name] for loss in losses]).mean() for name in losses[0]}
        moved = optimizer.adapt_step(shift() if kl is None and optimizer.needs_shift(batch.measure) else kl, progress)
        optimizer.adapt_entropy_coefficient(means["train/entropy"], progress)
        learner.observe(batch)
        fit = explained_variance(learner.ranks.gather(samples.v), learner.ranks.gather(samples.target))
        grad_norm = torch.stack(norms).mean() if norms else NOT_MEASURED
        return {**moved, **shift.js(), **means, "train/grad_norm": grad_norm, "train/explained_variance": fit}

    def _epoch(
        self, samples: Samples, progress: float, losses: list[Metrics], norms: list[Tensor], added: Added | None
    ) -> bool:
        """A gradient step on every minibatch, in random order; appends the metrics and gradient norms.

        Returns whether all steps were made: a minibatch that exceeds 1.5 × target_kl ends the epoch before its step.
        """
        optimizer, size = self.learner.optimizer, self.batch_size
        if samples.recurrent is not None:
            size = max(size // len(samples.x), 1)  # a number of sequences
        for columns, share in self._minibatches(samples, size):
            loss = self.loss(samples.take(columns), progress)
            loss = loss if added is None else added(loss, columns, progress)
            losses.append(self.learner.over_ranks(loss.metrics, share))
            if self.target_kl is not None and bool(losses[-1]["train/approx_kl"] > 1.5 * self.target_kl):
                return False
            norms.append(optimizer.differentiate(loss.total, progress, share))
            optimizer.inner.step()
        return True

    def _minibatches(self, samples: Samples, size: int) -> Iterator[tuple[Columns, float]]:
        """The minibatches of an epoch, of `size` columns over all ranks: this rank's columns, and their share."""
        columns, ranks, envs = samples.x.shape[1], self.learner.ranks, self.worlds.total_envs
        if ranks.alone:
            yield from ((chosen, 1.0) for chosen in self.shuffle.minibatches(columns, size))
            return
        own = np.arange(columns * ranks.count).reshape(-1, envs)[:, ranks.own(envs)].reshape(-1)  # t · N + i
        for chosen in self.shuffle.minibatches(columns * ranks.count, size):
            every = np.arange(columns * ranks.count)[chosen]
            here = every[np.isin(every, own)]
            yield np.searchsorted(own, here), len(here) / len(every)

    @torch.no_grad()
    def samples(self, batch: Rollout, inputs: Inputs) -> Samples:
        """The samples of a rollout, with the advantages and the probabilities before the update."""
        pi, v = policy_and_value(self.policy, self.value, inputs)
        advantage, target = self.advantages(batch, inputs, v)
        parts = (batch.action, batch.behavior, pi.log_prob(batch.action), advantage, target, v)
        if inputs.recurrent is not None:
            return Samples(inputs.x, inputs.legal, inputs.recurrent, *parts)
        legal = None if inputs.legal is None else inputs.legal.flatten(0, 1)[None]
        return Samples(inputs.x.flatten(0, 1)[None], legal, None, *(part.flatten(0, 1)[None] for part in parts))

    def loss(self, part: Samples, progress: float = 0.0) -> Loss:
        """−mean min(ρ Â, clip(ρ, 1 ± ε) Â) + vf_coef · mean (target − V)² − ent_coef · mean H(π)
        + kl_coef · mean KL(π_before ‖ π), where ρ = π(a|s) / π_before(a|s).

        With clip_range_vf, V is V_before + clip(V − V_before, ± clip_range_vf). Source: the paper, equations 7 to 9.
        """
        pi, v = self.learner.training_pass(part)
        clip, value_clip = (value_if_set(x, progress) for x in (self.clip_range, self.clip_range_vf))
        advantage = self.learner.standardized(part.advantage) if self.normalize_advantage else part.advantage
        log_ratio = pi.log_prob(part.action) - part.log_prob
        ratio = log_ratio.exp()
        gain = ratio * advantage
        if clip is not None:
            gain = torch.min(gain, ratio.clamp(1 - clip, 1 + clip) * advantage)
        if value_clip is not None:
            v = part.v + (v - part.v).clamp(-value_clip, value_clip)
        policy_loss, value_loss, entropy = -gain.mean(), self.value_loss(v, part.target), pi.entropy().mean()
        ent_coef = self.learner.optimizer.entropy_coefficient(progress)
        loss = policy_loss + value_at(self.vf_coef, progress) * value_loss - ent_coef * entropy
        if self.penalized:
            kl = self.policy.distribution(part.behavior).kl(pi).mean()
            loss = loss + value_at(self.kl_coef, progress) * self.learner.optimizer.penalty_factor.value * kl
        ratio, log_ratio = ratio.detach(), log_ratio.detach()
        outside = torch.zeros_like(ratio) if clip is None else ((ratio - 1).abs() > clip).to(ratio.dtype)
        metrics = {
            "train/policy_loss": policy_loss.detach(),
            "train/value_loss": value_loss.detach(),
            "train/entropy": entropy.detach(),
            "train/ent_coef": torch.tensor(ent_coef),
            "train/clip_fraction": outside.mean(),
            "train/approx_kl": (log_ratio.expm1() - log_ratio).mean(),  # Schulman 2020, "Approximating KL divergence"
        }
        return Loss(loss, metrics, pi)
