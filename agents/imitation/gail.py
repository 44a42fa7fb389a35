"""GAIL: the policy is the generator of a GAN and is rewarded by the discriminator."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from agents.demonstrations import Demonstrations
from agents.imitation.base import AgentWrapper, check_at_least
from agents.imitation.discriminator import Discriminator, TransitionEncoder, Transitions
from agents.imitation.offline import check_fingerprint, check_validation_fraction, fingerprint, load_demonstrations
from agents.maths import gan
from agents.parts import tensors_like
from agents.ppo import PPO
from agents.rollout import Metrics, Rollout
from agents.settings.ranges import Count, Widths
from agents.settings.values import ConfigError
from envs import saved
from envs.memory import shortage
from envs.streams import stream_generator

RewardForm = Literal["logit", "positive", "negative", "constant"]
_LARGEST_RATE = 1e30  # far larger ones overflow float32
_METRICS = ("discriminator_value", "discriminator_accuracy", "discriminator_entropy", "jsd")


def imitation_reward(logit: Tensor, form: RewardForm) -> Tensor:
    """The reward of a transition, from D = σ(logit), the probability that it is the expert's.

    logit: ln D − ln(1 − D), of either sign; positive: −ln(1 − D), biased towards long episodes; negative: ln D, biased
    towards short ones; constant: 1, a control that rewards length alone. Positive and negative are a GAN's saturating
    and non-saturating generator losses with opposite sign.
    Source: Ho & Ermon 2016 (positive, with D reversed); Fu et al. 2018 (logit); Kostrikov et al. 2019 (the biases).
    """
    if form == "positive":
        return -gan.generator_loss(logit, "saturating", reduction="none", validate=False)
    if form == "negative":
        return -gan.generator_loss(logit, "non-saturating", reduction="none", validate=False)
    return logit if form == "logit" else torch.ones_like(logit)


@dataclass(eq=False, kw_only=True)
class GAIL(AgentWrapper):
    """The A2C learns from rewards r(s, a) given by a discriminator between expert and policy transitions.

    Before an update, if `discriminator_batch` or more transitions of the policy are new, the discriminator makes
    `discriminator_steps` gradient steps for each full batch of them. A minibatch has `discriminator_batch` transitions
    of the policy, from its latest `buffer_size`, and as many of the expert. Then the A2C updates on the rollout with
    the discriminator's rewards. Reported returns are the environment's. `gail/…` is measured on held-out episodes of
    the expert and on policy transitions not yet used for training the discriminator.
    Source: Ho & Ermon 2016, "Generative adversarial imitation learning".
    """

    name = "gail"
    changeable = ()

    demonstrations: str = ""  # file, written by `python -m rl.demos`
    episodes: Count | None = None  # number of episodes used, in recorded order; null uses all
    reward: RewardForm = "positive"  # reward from the discriminator's logit: see `imitation_reward`
    absorbing: bool = True  # terminated episodes continue in an absorbing state, as in Kostrikov et al. 2019
    next_obs: bool = False  # whether the discriminator also sees s′
    discriminator_batch: Count = 256  # expert transitions in a minibatch, and as many policy transitions
    buffer_size: Count = 4096  # latest policy transitions to train on
    discriminator_steps: Count = 2  # gradient steps of the discriminator for each full batch of new transitions
    discriminator_lr: float = 1e-3  # learning rate of the discriminator's Adam
    discriminator_arch: Widths = (64, 64)  # hidden units of each layer of the discriminator
    gradient_penalty: float = 1.0  # weight of the gradient penalty of the discriminator; 0 disables it
    spectral_norm: bool = False  # divide each of the discriminator's weights by its largest singular value
    validation_fraction: float = 0.2  # fraction of the expert's episodes held out, for metrics only

    def prepare(self) -> None:
        agent = self.agent
        self._check()
        demonstrations = load_demonstrations(agent, self.demonstrations, self.episodes)
        self._fingerprint = fingerprint(demonstrations)
        train, held_out = demonstrations.split(self.validation_fraction, agent.seed)
        actions = agent.worlds.policy_action_space
        self._count = train.transitions
        expert = _transitions(train)
        self.encoder = TransitionEncoder.fit(expert, agent.obs_space, actions, self.next_obs, self.absorbing)
        self.generator = stream_generator(agent.seed, "discriminator")
        weights = sum(a * b for a, b in pairwise([self.encoder.size, *self.discriminator_arch, 1]))
        if lacking := shortage(4 * 4 * weights):  # weights, gradients, Adam's two moments
            raise ConfigError(f"the discriminator needs {lacking}: lower discriminator_arch")
        self.discriminator = Discriminator(
            self.encoder.size, self.discriminator_arch, self.discriminator_lr, self.gradient_penalty,
            self.spectral_norm, self.generator,
        )  # fmt: skip
        if lacking := shortage(4 * self.encoder.size * (self.buffer_size + 2 * self.discriminator_batch)):
            raise ConfigError(f"the policy's transitions need {lacking}: lower buffer_size or discriminator_batch")
        self.expert, self.held_out = self._encode(expert), self._encode(_transitions(held_out))
        self.buffer = torch.zeros(0, self.encoder.size)  # the policy's transitions, for training
        self.pending = self.buffer  # the policy's transitions since the last training, to be measured first
        self._metrics = {f"gail/{name}": torch.tensor(torch.nan) for name in _METRICS}

    def _check(self) -> None:
        check_at_least(0, discriminator_lr=self.discriminator_lr, gradient_penalty=self.gradient_penalty)
        check_validation_fraction(self.validation_fraction)
        if self.discriminator_lr > _LARGEST_RATE:
            raise ConfigError(f"discriminator_lr must be at most {_LARGEST_RATE:g}, got {self.discriminator_lr:g}")
        if self.absorbing and self.agent.gamma == 1:
            raise ConfigError("absorbing needs γ / (1 − γ): set gamma below 1, or absorbing=false")

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        columns = (x.cpu() for x in (batch.obs, batch.action, batch.next_obs, batch.terminated))
        transitions = Transitions(*(x.flatten(0, 1) for x in columns))
        x, terminated = self._encode(transitions), transitions.terminated
        self._train_discriminator(x)
        reward = self._reward(x[: len(terminated)], terminated).reshape(batch.reward.shape).to(batch.reward.dtype)
        metrics = self.agent.update(batch._replace(reward=reward), progress)
        return {**metrics, **self._metrics, "gail/reward": reward.mean()}

    def _train_discriminator(self, x: Tensor) -> None:
        """Once enough transitions are pending, measures the discriminator on them, then trains it.

        x: encoded transitions of the policy, float32[B, size].
        """
        self.pending = torch.cat([self.pending, x])
        if len(self.pending) < self.discriminator_batch:
            return
        self._metrics = self.discriminator.measure(self.held_out, self.pending)
        self.buffer = torch.cat([self.buffer, self.pending])[-self.buffer_size :]
        steps = self.discriminator_steps * (len(self.pending) // self.discriminator_batch)
        self.pending = self.pending[:0]
        for _ in range(steps):
            self.discriminator.step(self._sample(self.expert), self._sample(self.buffer))

    def _sample(self, x: Tensor) -> Tensor:
        """A minibatch, drawn with replacement."""
        return x[torch.randint(len(x), (self.discriminator_batch,), generator=self.generator)]

    def _encode(self, transitions: Transitions) -> Tensor:
        """Encoded transitions, plus one absorbing transition for each that terminates."""
        count = int(transitions.terminated.sum()) if self.absorbing else 0
        return torch.cat([self.encoder(transitions), self.encoder.absorbing_transition().expand(count, -1)])

    def _reward(self, x: Tensor, terminated: Tensor) -> Tensor:
        """r(s, a), float32[B], plus γ / (1 − γ) · r(absorbing state) where an episode terminates."""
        reward = imitation_reward(self.discriminator.logit(x), self.reward)
        if self.absorbing:
            absorbing = imitation_reward(self.discriminator.logit(self.encoder.absorbing_transition()), self.reward)
            reward = reward + terminated * absorbing * self.agent.gamma / (1 - self.agent.gamma)
        return reward

    @property
    def networks(self) -> list[nn.Module]:
        return [*self.agent.networks, self.discriminator.network]

    def summary(self) -> str:
        penalty = f"gradient penalty {self.gradient_penalty:g}" + (" and spectral norm" if self.spectral_norm else "")
        return f"imitates {self._count:,} transitions of {self.demonstrations}, {self.reward} rewards, {penalty}"

    def get_extra_state(self) -> dict[str, object]:
        return {
            "buffer": self.buffer.clone(),  # saving a view would save the whole tensor behind it
            "pending": self.pending.clone(),
            "demonstrations": self._fingerprint,
            "metrics": self._metrics,
        }

    def set_extra_state(self, state: Mapping[str, object]) -> None:
        check_fingerprint(state["demonstrations"], self._fingerprint)
        form = self.buffer.dtype, (None, self.encoder.size)
        buffer, pending = (saved.tensor(state[name], name, *form) for name in ("buffer", "pending"))
        if len(buffer) > self.buffer_size or len(pending) >= self.discriminator_batch:
            raise saved.Misfit(f"buffer and pending have {len(buffer)} and {len(pending)} rows, which are too many")
        self.buffer, self.pending = buffer, pending
        self._metrics = tensors_like(state["metrics"], self._metrics, "metrics")


@dataclass(eq=False, kw_only=True)
class GAILPPO(GAIL):
    """GAIL whose policy is trained by PPO: `GAILPPO(PPO(env), demonstrations=…)`."""

    name = "gail-ppo"
    wrapped = PPO
    wraps = PPO.name


def _transitions(demonstrations: Demonstrations) -> Transitions:
    d = demonstrations
    return Transitions(*(torch.from_numpy(x) for x in (d.obs, d.action, d.next_obs, d.terminated)))
