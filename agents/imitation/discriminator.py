"""A discriminator between an expert's transitions and a policy's: D = σ(logit), the probability of the expert's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from gymnasium import spaces
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.utils.parametrizations import spectral_norm

from agents.maths import gan, information
from agents.networks.actor_critic import encode, input_size, mlp
from envs.spaces import Actions, Flat, factors

_FAR = 10.0  # standard deviations


class Moves(NamedTuple):
    """Transitions, one a row."""

    obs: Tensor  # [B, …], as the environment gave it
    action: Tensor  # as `Rollout.action`
    next_obs: Tensor  # [B, …]
    terminated: Tensor  # bool[B]


@dataclass(frozen=True)
class Encoding:
    """What the network sees of a transition: s, a, and s′ if asked for, beside a flag of the absorbing state.

    s and s′ are standardized by the expert's mean and deviation; discrete actions are one-hot, real ones clipped to
    their bounds, as the environment sees them.
    With absorbing states, one that terminates leads to the absorbing state: 0, and the flag. It is set to 10, so that
    this state is not nearer to the expert's than states are that a bad policy comes to.
    """

    obs_space: Flat
    actions: Actions
    with_next: bool
    absorbing: bool
    mean: Tensor  # float[D]
    scale: Tensor

    @classmethod
    def of(cls, expert: Moves, obs_space: Flat, actions: Actions, with_next: bool, absorbing: bool) -> "Encoding":
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

    def __call__(self, moves: Moves) -> Tensor:
        """float32[B, size]."""
        parts = [self._state(moves.obs), self._action(moves.action)]
        if self.with_next:
            after = self._state(moves.next_obs)
            gone = moves.terminated & self.absorbing
            parts.append(torch.where(gone[:, None], self._nowhere(after), after))
        return torch.cat(parts, -1).to(torch.get_default_dtype())

    def at_rest(self) -> Tensor:
        """The transition from the absorbing state to itself, float32[1, size]."""
        here = self._nowhere(torch.zeros(1, input_size(self.obs_space) + 1))
        action = torch.zeros(1, self._action_size)
        return torch.cat([here, action, here] if self.with_next else [here, action], -1)

    def _state(self, obs: Tensor) -> Tensor:
        x = (encode(self.obs_space, obs) - self.mean) / self.scale
        return torch.cat([x.clamp(-_FAR, _FAR), torch.zeros(len(x), 1)], -1)

    @staticmethod
    def _nowhere(state: Tensor) -> Tensor:
        nowhere = torch.zeros_like(state)
        nowhere[:, -1] = _FAR
        return nowhere

    def _action(self, action: Tensor) -> Tensor:
        if isinstance(self.actions, spaces.Box):
            low, high = (
                torch.as_tensor(x, dtype=torch.float32).flatten() for x in (self.actions.low, self.actions.high)
            )
            return torch.minimum(torch.maximum(action.flatten(1).float(), low), high)
        columns = action.reshape(len(action), -1).long()
        return torch.cat([one_hot(columns[:, k], n) for k, n in enumerate(self._factors)], -1).float()


class Discriminator:
    """A multilayer perceptron trained on minibatches of both kinds by Adam, optionally kept smooth.

    Loss: −V(D, G) by `rl.gan`, + gradient_penalty · mean (‖∇ logit‖ − 1)² between the two (Gulrajani et al. 2017), or
    spectral normalization of its layers (Miyato et al. 2018).
    """

    def __init__(
        self, inputs: int, hidden: tuple[int, ...], learning_rate: float, penalty: float, spectral: bool,
        generator: Generator,
    ) -> None:  # fmt: skip
        self.penalty, self.generator = penalty, generator
        self.network = mlp([inputs, *hidden, 1], "tanh", 1.0, generator)
        if spectral:
            _normalize(self.network, generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)

    @torch.no_grad()
    def logit(self, x: Tensor) -> Tensor:
        """float32[B]; x: float32[B, F]."""
        self.network.eval()  # spectral normalization then leaves its estimates alone
        return self._logit(x)

    def step(self, expert: Tensor, policy: Tensor) -> None:
        """One gradient step. float32[B, F] each."""
        self.network.train()
        loss = gan.discriminator_loss(self._logit(expert), self._logit(policy), validate=False)
        if self.penalty:
            loss = loss + self.penalty * self._roughness(expert, policy)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def measure(self, expert: Tensor, policy: Tensor) -> dict[str, Tensor]:
        """Its value, accuracy and entropy on transitions that it was not trained on; the JSD that it can tell."""
        real, fake = self.logit(expert), self.logit(policy)
        value, both = gan.value(real, fake, validate=False), torch.cat([real, fake])
        right = torch.cat([real > 0, fake < 0]).float()
        return {
            "gail/discriminator_value": value,
            "gail/discriminator_accuracy": right.mean(),
            "gail/discriminator_entropy": information.bernoulli_entropy_from_logits(both[:, None], reduction="mean"),
            "gail/jsd": gan.jsd_estimate(value),
        }

    def _logit(self, x: Tensor) -> Tensor:
        logit: Tensor = self.network(x).squeeze(-1)
        return logit

    def _roughness(self, expert: Tensor, policy: Tensor) -> Tensor:
        share = torch.rand(len(expert), 1, generator=self.generator)
        between = torch.lerp(expert, policy, share).requires_grad_()
        (slope,) = torch.autograd.grad(self._logit(between).sum(), between, create_graph=True)
        roughness: Tensor = (slope.norm(dim=-1) - 1).square().mean()
        return roughness

    def state_dict(self) -> dict[str, object]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.network.load_state_dict(cast("dict[str, Tensor]", state["network"]))
        self.optimizer.load_state_dict(cast("dict[str, object]", state["optimizer"]))


def _normalize(network: nn.Sequential, generator: Generator) -> None:
    """Spectral normalization, whose first vectors torch draws from the global generator: it is put back after."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        for layer in network:
            if isinstance(layer, nn.Linear):
                spectral_norm(layer)
