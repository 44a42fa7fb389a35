"""The optimizer step: gradient clipping, adaptive learning rate, KL bound."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import cast

import torch
from gymnasium import spaces
from torch import Tensor
from torch.optim import Optimizer

from agents.maths.adaptation import ENTROPY_GAIN, SHIFT_GAIN, SHIFT_HORIZON, AdaptiveFactor
from agents.maths.schedules import Schedule, highest, value_at, value_if_set
from agents.networks.actor_critic import Policy, Value
from agents.networks.contents import Contents
from agents.parts import load_optimizer, optimizer_state
from agents.ranks import ALONE, Ranks
from agents.rmsprop import Adam, Groups, RMSprop, RMSpropTFLike
from agents.settings.a2c import A2CSettings, OptimizerClass
from agents.settings.importable import imported
from agents.settings.values import ConfigError
from agents.shift import NOT_MEASURED, bounded
from envs import saved
from envs.spaces import Actions, factors

_LARGEST = torch.finfo(torch.float32).max


def gradient_error(loss: float) -> FloatingPointError:
    return FloatingPointError(
        f"the gradient is not finite (loss {loss:g}) and was not applied; "
        "lower learning_rate, or set normalize_observations or normalize_rewards"
    )


def shift_error(learning_rate: float) -> FloatingPointError:
    return FloatingPointError(f"a step of learning rate {learning_rate:g} moved the policy infinitely far; lower it")


def rate_error(learning_rate: float) -> FloatingPointError:
    return FloatingPointError(
        f"a step of learning rate {learning_rate:g} overflows and was not made; lower learning_rate or critic_lr_scale"
    )


def check_target_entropy(target: Schedule | None, actions: Actions) -> None:
    """Raises ConfigError if no policy over these actions has an entropy above the target."""
    choices = math.prod(factors(actions))
    if target is None or isinstance(actions, spaces.Box):
        return
    if highest(target) >= math.log(choices):
        raise ConfigError(
            f"target_entropy must be below ln {choices} = {math.log(choices):.3f}, the entropy of "
            f"uniform actions, got {target}"
        )


class ConstrainedOptimizer:
    """A torch optimizer, `inner`, over π_θ and V_φ, whose steps are clipped, bounded in KL and adapted to targets."""

    def __init__(self, policy: Policy, value: Value, settings: A2CSettings, ranks: Ranks = ALONE) -> None:
        self.policy, self.value, self.settings, self.ranks = policy, value, settings, ranks
        self._contents = Contents(policy, value)
        groups = [{"params": [*parameters]} for parameters in self._contents.parameters]
        self._inner = optimizer(groups, settings)
        self.step_factor, self.entropy_factor, self.penalty_factor = (AdaptiveFactor() for _ in range(3))
        self.mean_shift, self.shifts = 0.0, 0  # running mean of the policy shift; number of updates in the mean

    @property
    def inner(self) -> Optimizer:
        """torch's optimizer; its parameter groups are π_θ and V_φ."""
        return self._inner

    @inner.setter
    def inner(self, other: Optimizer) -> None:
        raise ConfigError(
            "the optimizer of a built agent cannot be replaced, since a checkpoint could not bring it back: "
            "build the agent with optimizer=module:Class and optimizer_kwargs"
        )

    def entropy_coefficient(self, progress: float) -> float:
        """ent_coef at this fraction of training, times its adaptive factor."""
        return value_at(self.settings.ent_coef, progress) * self.entropy_factor.value

    def adapt_entropy_coefficient(self, entropy: Tensor, progress: float) -> None:
        """With a target entropy: c ← c · exp(0.01 (H_target − H)), for the next update.

        Idea: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", section 5.
        """
        if self.settings.target_entropy is not None:
            missing = value_at(self.settings.target_entropy, progress) - float(entropy)
            self.entropy_factor.adapt(ENTROPY_GAIN * missing)

    def step(
        self, loss: Tensor, progress: float, shift: Callable[[], Tensor], measure: bool = True
    ) -> dict[str, Tensor]:
        """One step on the loss, within the bound on shift(), KL(π_before ‖ π_now). measure: see `needs_shift`.

        Raises FloatingPointError if the gradient is not finite (no parameter has changed then), or if shift() is not.
        """
        self.set_rates(progress)
        grad_norm, kl = self.differentiate(loss, progress), None
        if self.needs_shift(measure):
            bound = value_if_set(self.settings.max_policy_shift, progress)
            kl = bounded(self._contents.parameters[0], self.inner.step, shift, bound)
        else:
            self.inner.step()
        return {**self.adapt_step(kl, progress), "train/grad_norm": grad_norm}

    def needs_shift(self, measure: bool) -> bool:
        """Whether an update measures the policy shift: for the log (`Rollout.measure`), or because a setting does."""
        settings = self.settings
        return measure or settings.max_policy_shift is not None or settings.target_policy_shift is not None

    def set_rates(self, progress: float) -> None:
        """Sets the learning rates of π_θ and V_φ at this fraction of training.

        Raises FloatingPointError if a step would overflow; Adam divides the rate by 1 − β₁ in its first step.
        """
        learning_rate = value_at(self.settings.learning_rate, progress)
        critic_scale = value_at(self.settings.critic_lr_scale, progress)
        rates = (learning_rate * self.step_factor.value, learning_rate * critic_scale)
        self._follow_networks()
        for group, rate in zip(self.inner.param_groups, rates, strict=True):
            if rate / (1 - group.get("betas", (0.0,))[0]) > _LARGEST:
                raise rate_error(rate)
            group["lr"] = rate

    def differentiate(self, loss: Tensor, progress: float, share: float | None = None) -> Tensor:
        """Computes and clips the gradient of the loss, the mean over all ranks' rows; returns its norm before clipping.

        share: this rank's share of the rows, see `Ranks.mean`. Raises FloatingPointError if the norm is not finite.
        """
        parameters = [*chain(*self._contents.parameters)]
        for p in parameters:
            p.grad = None
        if share != 0:
            loss.backward()
        if not self.ranks.alone:
            self._add_gradients(parameters, share)
        gradients = [p.grad for p in parameters if p.grad is not None]
        grad_norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if not math.isfinite(norm := grad_norm.item()):
            raise gradient_error(float(loss.detach()))
        scale = value_at(self.settings.max_grad_norm, progress) / (norm + 1e-6)
        if scale < 1:
            torch._foreach_mul_(gradients, scale)
        return grad_norm

    def _add_gradients(self, parameters: Sequence[Tensor], share: float | None) -> None:
        """Replaces the gradient by its mean over the rows of all ranks, in a single sum of a flat tensor."""
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.ranks.mean(torch.cat([g.flatten() for g in own]), share)
        for p, g in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = g.view_as(p)

    def _follow_networks(self) -> None:
        """Makes the groups hold the networks' current parameters, also if a module was replaced."""
        groups, now = self.inner.param_groups, self._contents.parameters
        if [*map(id, chain(*now))] != [id(p) for group in groups for p in group["params"]]:
            for group, parameters in zip(groups, now, strict=True):
                group["params"] = [*parameters]
            for p in self.inner.state.keys() - set(chain(*now)):
                del self.inner.state[p]

    def adapt_step(self, kl: Tensor | None, progress: float) -> dict[str, Tensor]:
        """Moves the factor of π_θ's learning rate, or of kl_coef, toward target_policy_shift; returns metrics.

        kl: KL(π_before ‖ π_after) of an update, None if it was not measured. Raises FloatingPointError if it is not
        finite.
        """
        rate = self.inner.param_groups[0]["lr"]
        if kl is None:
            kl = NOT_MEASURED
        elif not math.isfinite(kl):
            raise shift_error(rate)
        if self.settings.target_policy_shift is not None:
            change = self._missing_shift(value_at(self.settings.target_policy_shift, progress), float(kl))
            if self.settings.penalized:
                self.penalty_factor.adapt(-change)
            else:
                self.step_factor.adapt(change)
        return {"train/policy_shift_kl": kl, "train/learning_rate": torch.tensor(rate)}

    def _missing_shift(self, target: float, kl: float) -> float:
        """gain · ln √(target / mean KL): KL ∝ step², so the root is the factor by which the step meets the target.

        The mean over 50 updates approaches the target. Single updates differ by orders of magnitude, and most are near
        0: a factor that follows each of them would grow until the next large update destroys the policy.
        """
        self.shifts = min(self.shifts + 1, SHIFT_HORIZON)
        self.mean_shift += (kl - self.mean_shift) / self.shifts
        measured = max(self.mean_shift, 0.01 * target)  # bounds the growth of f if the policy does not move
        return SHIFT_GAIN * 0.5 * math.log(target / measured)

    def state_dict(self) -> dict[str, object]:
        return {
            "optimizer": optimizer_state(self.inner),
            "factors": [self.step_factor.value, self.entropy_factor.value, self.penalty_factor.value],
            "shift": [self.mean_shift, self.shifts],
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state does not fit an optimizer of these parameters."""
        load_optimizer(self.inner, state["optimizer"])
        step_factor, entropy_factor, penalty_factor = saved.sequence(state["factors"], "factors", 3)
        mean_shift, shifts = saved.sequence(state["shift"], "shift", 2)
        self.step_factor.value = saved.number(step_factor, "step factor", 0)
        self.entropy_factor.value = saved.number(entropy_factor, "entropy factor", 0)
        self.penalty_factor.value = saved.number(penalty_factor, "penalty factor", 0)
        self.mean_shift = saved.number(mean_shift, "mean shift")
        self.shifts = saved.whole(shifts, "shifts", 0, SHIFT_HORIZON)


def optimizer(groups: Groups, settings: A2CSettings) -> Optimizer:
    """The optimizer in the settings: RMSprop (α = 0.99) in torch's or TensorFlow's form, Adam, or a class by name.

    Raises ConfigError if the class cannot be imported or built, or changes the two groups.
    """
    kwargs = settings.optimizer_kwargs or {}
    if settings.optimizer is not None:
        return _built(settings.optimizer, groups, {"lr": value_at(settings.learning_rate, 0.0), **kwargs})
    own: dict[str, object] = {"eps": settings.rms_prop_eps}
    own |= {"alpha": 0.99} if settings.use_rms_prop else {}
    own |= {} if settings.rms_prop_tf_like else {"foreach": True}
    kind = RMSprop if settings.use_rms_prop else Adam
    return _built(RMSpropTFLike if settings.rms_prop_tf_like else kind, groups, own | kwargs)


def _built(chosen: OptimizerClass, groups: Groups, kwargs: Mapping[str, object]) -> Optimizer:
    try:
        build = cast(Callable[..., Optimizer], imported(chosen)) if isinstance(chosen, str) else chosen
        built = build(groups, **kwargs)
    except (Exception, SystemExit) as error:  # from anything that the module's import runs
        name = chosen if isinstance(chosen, str) else getattr(chosen, "__qualname__", repr(chosen))
        raise ConfigError(f"optimizer {name} cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(built, Optimizer) or len(built.param_groups) != 2:
        raise ConfigError(
            f"optimizer {chosen} must be a torch optimizer that keeps its two groups of parameters, of π_θ and of V_φ"
        )
    return built
