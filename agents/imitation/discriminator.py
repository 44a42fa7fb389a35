"""A discriminator: D = σ(logit) is the probability that a transition is the expert's, not the policy's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.utils.parametrizations import spectral_norm

from agents.maths import gan, information
from agents.networks.actor_critic import encode, input_size, mlp
from agents.parts import load_module, load_optimizer, optimizer_state
from envs.spaces import Actions, Flat, factors

_FAR = 10.0  # standard deviations


class Transitions(NamedTuple):
    obs: Tensor  # [B, …], as the environment returned it
    action: Tensor  # as `Rollout.action`
    next_obs: Tensor  # [B, …]
    terminated: Tensor  # bool[B]


@dataclass(frozen=True)
class TransitionEncoder:
    """Encodes transitions for the discriminator: s, a and optionally s′; each state has a flag for the absorbing state.

    States are standardized by the expert's mean and standard deviation. Discrete actions are one-hot; continuous ones
    are clipped to their bounds, as in the environment.
    With `absorbing`, a transition that terminates leads to the absorbing state: zeros and a flag of 10. A flag of 1
    would put it closer to the expert's states than many states that a bad policy visits.
    """

    obs_space: Flat
    actions: Actions
    with_next: bool
    absorbing: bool
    mean: Tensor  # float[D]
    scale: Tensor

    @classmethod
    def fit(
        cls, expert: Transitions, obs_space: Flat, actions: Actions, with_next: bool, absorbing: bool
    ) -> "TransitionEncoder":
        """Standardizes by the statistics of these transitions."""
        x = encode(obs_space, expert.obs)
        scale = x.std(0, correction=min(len(x) - 1, 1)).clamp(min=1e-3)
        return cls(obs_space, actions, with_next, absorbing, x.mean(0), scale)

    @property
    def size(self) -> int:
        states = 2 if self.with_next else 1
        return states * (input_size(self.obs_space) + 1) + self._action_size

    @property
    def _action_size(self) -> int:
        return math.prod(self.actions.shape) if isinstance(self.actions, spaces.Box) else sum(self._factors)

    @property
    def _factors(self) -> list[int]:
        return [int(n) for n in factors(self.actions)]

    def __call__(self, transitions: Transitions) -> Tensor:
        """float32[B, size]."""
        parts = [self._state(transitions.obs), self._action(transitions.action)]
        if self.with_next:
            state = self._state(transitions.next_obs)
            absorbed = transitions.terminated & self.absorbing
            parts.append(torch.where(absorbed[:, None], self._absorbing_state(len(state)), state))
        return torch.cat(parts, -1).to(torch.get_default_dtype())

    def absorbing_transition(self) -> Tensor:
        """The transition from the absorbing state to itself, float32[1, size]."""
        state, action = self._absorbing_state(1), torch.zeros(1, self._action_size)
        return torch.cat([state, action, state] if self.with_next else [state, action], -1)

    def _state(self, obs: Tensor) -> Tensor:
        x = (encode(self.obs_space, obs) - self.mean) / self.scale
        return torch.cat([x.clamp(-_FAR, _FAR), torch.zeros(len(x), 1)], -1)

    def _absorbing_state(self, rows: int) -> Tensor:
        state = torch.zeros(rows, input_size(self.obs_space) + 1)
        state[:, -1] = _FAR
        return state

    def _action(self, action: Tensor) -> Tensor:
        if isinstance(self.actions, spaces.Box):
            low, high = (
                torch.as_tensor(x, dtype=torch.float32).flatten() for x in (self.actions.low, self.actions.high)
            )
            return torch.minimum(torch.maximum(action.flatten(1).float(), low), high)
        choices = action.reshape(len(action), -1).long()
        return torch.cat([one_hot(choices[:, k], n) for k, n in enumerate(self._factors)], -1).float()


class Discriminator:
    """A multilayer perceptron, trained by Adam on minibatches of the expert's and the policy's transitions.

    Loss: −V(D, G), see `agents.maths.gan`, + gradient_penalty · mean (‖∇ logit‖ − 1)² at points between the two
    (Gulrajani et al. 2017). Optionally with spectral normalization of the layers (Miyato et al. 2018).
    """

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        learning_rate: float,
        gradient_penalty: float,
        spectral: bool,
        generator: Generator,
    ) -> None:
        self.gradient_penalty, self.generator = gradient_penalty, generator
        self.network = mlp([inputs, *hidden, 1], "tanh", 1.0, generator)
        if spectral:
            _add_spectral_norm(self.network, generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)

    @torch.no_grad()
    def logit(self, x: Tensor) -> Tensor:
        """float32[B]; x: float32[B, F]."""
        self.network.eval()  # in eval mode, spectral normalization does not update its estimates
        return self._logit(x)

    def step(self, expert: Tensor, policy: Tensor) -> None:
        """One gradient step. float32[B, F] each."""
        self.network.train()
        loss = gan.discriminator_loss(self._logit(expert), self._logit(policy), validate=False)
        if self.gradient_penalty:
            loss = loss + self.gradient_penalty * self._gradient_penalty(expert, policy)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def measure(self, expert: Tensor, policy: Tensor) -> dict[str, Tensor]:
        """V(D, G), accuracy, entropy and estimated JSD, on transitions not used for training the discriminator."""
        expert_logit, policy_logit = self.logit(expert), self.logit(policy)
        value = gan.value(expert_logit, policy_logit, validate=False)
        logits, correct = torch.cat([expert_logit, policy_logit]), torch.cat([expert_logit > 0, policy_logit < 0])
        return {
            "gail/discriminator_value": value,
            "gail/discriminator_accuracy": correct.float().mean(),
            "gail/discriminator_entropy": information.bernoulli_entropy_from_logits(logits[:, None], reduction="mean"),
            "gail/jsd": gan.jsd_estimate(value),
        }

    def _logit(self, x: Tensor) -> Tensor:
        logit: Tensor = self.network(x).squeeze(-1)
        return logit

    def _gradient_penalty(self, expert: Tensor, policy: Tensor) -> Tensor:
        """mean (‖∇ logit‖ − 1)² at random points between the expert's and the policy's transitions."""
        weight = torch.rand(len(expert), 1, generator=self.generator)
        x = torch.lerp(expert, policy, weight).requires_grad_()
        (gradient,) = torch.autograd.grad(self._logit(x).sum(), x, create_graph=True)
        penalty: Tensor = (gradient.norm(dim=-1) - 1).square().mean()
        return penalty

    def state_dict(self) -> dict[str, object]:
        return {"network": self.network.state_dict(), "optimizer": optimizer_state(self.optimizer)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        load_module(self.network, state["network"])
        load_optimizer(self.optimizer, state["optimizer"])


def _add_spectral_norm(network: nn.Sequential, generator: Generator) -> None:
    """Draws the initial vectors from `generator`: torch uses the global generator, whose state is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        for layer in network:
            if isinstance(layer, nn.Linear):
                spectral_norm(layer)
