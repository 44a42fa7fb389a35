"""The settings of streaming actor-critic, with the symbols of its paper."""

from dataclasses import dataclass
from math import log
from typing import Literal

from agents.settings.actor_critic import Activation, ActorCriticSettings
from agents.settings.agent import SMALLEST
from agents.settings.ranges import Envs, Steps
from agents.settings.values import ConfigError

Truncation = Literal["bootstrap", "terminate"]
EntropyForm = Literal["constant", "td_error"]
Rule = Literal["obgd", "adaptive", "intentional"]
_UNSUPPORTED = {  # setting → what to do instead
    "gru_size": "its traces do not reach back through a recurrent layer; leave it null",
    "use_sde": "it draws new noise in every step; leave it false",
    "state_dependent_std": "σ is a network output in any case; leave it false",
}

_BOUNDED, _INTENDED = (
    ("step_size", "policy_overshoot", "value_overshoot"),
    ("policy_intent", "value_intent", "attainable_intent"),
)


@dataclass(eq=False, kw_only=True)  # agents are compared by identity
class StreamSettings(ActorCriticSettings):
    """The settings of `StreamAC`: one environment, one step, one update. Symbols are those of Elsayed et al. 2024.

    The comment beside a field says what it does; null is None in Python.
    Raises ConfigError, a ValueError, if a setting is out of range.
    """

    changeable = ("ent_coef", "entropy_form", "truncation", "max_policy_shift")

    # Streaming
    num_envs: Envs | None = 1  # number of environments; a stream has one
    normalize_observations: bool = True  # subtract the running mean, divide by the running standard deviation
    normalize_rewards: bool = True  # divide by the running standard deviation of the discounted return
    activation: Activation = "leaky_relu"  # activation function of the hidden layers
    layer_norm: bool = True  # normalize the units of each hidden layer before the activation
    sparsity: float = 0.9  # fraction of each unit's weights that start at 0
    log_std_init: float = log(log(2))  # log standard deviation if the network outputs 0; default: σ = softplus(0)

    # The update
    trace_decay: float = 0.0  # λ of the eligibility traces; 0: single-step TD
    ent_coef: float = 0.001  # β, weight of the entropy; the paper: 0.01 with entropy_form td_error
    entropy_form: EntropyForm = "constant"  # constant: β ∇H in every step; td_error: β sign(δ) ∇H in the trace
    step_rule: Rule = "obgd"  # step along the traces: of bounded size, or for intentional of intended effect
    step_size: float = 1.0  # α of obgd and adaptive, the step size before it is bounded
    policy_overshoot: float = 3.0  # κ_π of obgd and adaptive; the step of π_θ is at most 1 / (κ_π · max(|δ|, 1) · ‖e‖₁)
    value_overshoot: float = 2.0  # κ_V; the same for V_φ
    policy_intent: float = 0.05  # η_π of intentional; ln π(a|s) moves by η_π δ / E|δ|
    value_intent: float = 0.5  # η_V of intentional; V(s) moves by η_V δ
    attainable_intent: bool = True  # intentional, discrete actions: less than η_π where ln π(a|s) cannot rise so far
    truncation: Truncation = "bootstrap"  # at a time limit: bootstrap from V(s′), or treat it as a terminal state
    max_policy_shift: float | None = (
        None  # bound on KL(π_before ‖ π_after) at s in nats; shortens π_θ's step; null: off
    )

    averaging_steps: Steps | None = (
        10_000  # deterministic actions use the mean of θ over the last tenth of the steps, at most this many; null: θ
    )

    def check(self) -> None:
        super().check()
        self.check_bounds((
            (("ent_coef",), 0, "not be negative"),
            (("step_size", "policy_overshoot", "value_overshoot"), SMALLEST, "be positive"),
            (("policy_intent", "value_intent"), SMALLEST, "be positive"),
            (("max_policy_shift",), SMALLEST, "be positive or null"),
        ))  # fmt: skip
        self.check_fractions("trace_decay")
        if self.step_rule == "intentional" and self.gamma * self.trace_decay == 1:
            raise ConfigError("step_rule intentional divides by 1 − γλ: set gamma or trace_decay below 1")
        if self.num_envs not in (None, 1) or self.n_steps != 1:
            raise ConfigError(
                f"stream learns from one step of one environment: num_envs and n_steps must be 1, got {self.num_envs} "
                f"and {self.n_steps}; a2c learns from many, and rl.compare trains many streams"
            )
        for name in _BOUNDED if self.step_rule == "intentional" else _INTENDED:
            if getattr(self, name) != getattr(StreamSettings, name):
                raise ConfigError(f"{name} does nothing with step_rule {self.step_rule}: leave it out")
        for name, instead in _UNSUPPORTED.items():
            if getattr(self, name):
                raise ConfigError(f"stream does not support {name}: {instead}")
        if self.shared_layers not in ("auto", "nothing"):
            raise ConfigError("stream has a trace for each network: leave shared_layers auto or nothing")
