"""GAIL: the policy is the generator of a GAN; the discriminator's opinion of a transition is its reward."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from agents.demonstrations import Demonstrations
from agents.imitation.base import AgentWrapper, check_at_least
from agents.imitation.discriminator import Discriminator, Encoding, Moves
from agents.imitation.offline import check_fingerprint, check_fraction, fingerprint, recorded
from agents.maths import gan
from agents.rollout import Metrics, Rollout
from agents.settings.values import ConfigError
from envs.streams import stream_generator

RewardForm = Literal["logit", "positive", "negative", "constant"]


_MEASURED = ("discriminator_value", "discriminator_accuracy", "discriminator_entropy", "jsd")


def reward_of(logit: Tensor, form: RewardForm) -> Tensor:
    """The reward of a transition, D = σ(logit) being the probability that it is the expert's.

    logit: ln D − ln(1 − D), of either sign; positive: −ln(1 − D), which favors long episodes whatever is done in them;
    negative: ln D, which favors short ones; constant: 1, the control of what length alone explains. Positive and
    negative are a GAN's two losses of the generator, saturating and not, with the sign turned.
    Source: Ho & Ermon 2016 (positive, by their sign of D); Fu et al. 2018 (logit); Kostrikov et al. 2019 (the biases).
    """
    if form == "positive":
        return -gan.generator_loss(logit, "saturating", reduction="none", validate=False)
    if form == "negative":
        return -gan.generator_loss(logit, "non-saturating", reduction="none", validate=False)
    return logit if form == "logit" else torch.ones_like(logit)


@dataclass(eq=False, kw_only=True)
class GAIL(AgentWrapper):
    """Rewards r(s, a) from a discriminator between the recorded transitions and the policy's, learned by `agent`.

    After every `batch_size` transitions of the policy the discriminator makes `discriminator_steps` steps, on as many
    of the latest `buffer_size` and of the expert's; then the rollout's rewards are replaced, and the A2C updates as on
    any other. Returns are reported as the environment gives them. `gail/…` is measured on held-out episodes of the
    expert and on transitions of the policy that the discriminator has not seen.
    Source: Ho & Ermon 2016, "Generative adversarial imitation learning".
    """

    name = "gail"

    demonstrations: str = ""  # the file, by `python -m rl.demos`
    episodes: int | None = None  # the first so many; null takes all
    reward: RewardForm = "positive"
    absorbing: bool = True  # episodes that terminate go on in an absorbing state, as in Kostrikov et al. 2019
    next_obs: bool = False  # the discriminator sees s′ too
    batch_size: int = 256  # transitions of either kind, a step of the discriminator
    buffer_size: int = 4096  # latest transitions of the policy to draw from
    discriminator_steps: int = 2
    discriminator_lr: float = 1e-3  # of Adam
    discriminator_arch: tuple[int, ...] = (64, 64)
    gradient_penalty: float = 1.0  # 0 for none
    spectral_norm: bool = False
    validation_fraction: float = 0.2  # of the expert's episodes, held out to measure

    def prepare(self) -> None:
        agent = self.agent
        self._check()
        given = recorded(agent, self.demonstrations, self.episodes)
        self._fingerprint = fingerprint(given)
        train, held_out = given.split(self.validation_fraction, agent.seed)
        actions = agent.worlds.policy_action_space
        self._transitions = train.transitions
        self.encoding = Encoding.of(_moves(train), agent.obs_space, actions, self.next_obs, self.absorbing)
        self.generator = stream_generator(agent.seed, "discriminator")
        self.discriminator = Discriminator(
            self.encoding.size, self.discriminator_arch, self.discriminator_lr, self.gradient_penalty,
            self.spectral_norm, self.generator,
        )  # fmt: skip
        self.expert, self.held_out = self._seen(train), self._seen(held_out)
        self.buffer = self.fresh = torch.zeros(0, self.encoding.size)  # learned from before; come since then
        self._measured = {f"gail/{name}": torch.tensor(torch.nan) for name in _MEASURED}

    def _check(self) -> None:
        check_at_least(
            1, batch_size=self.batch_size, buffer_size=self.buffer_size, discriminator_steps=self.discriminator_steps,
            discriminator_arch=min(self.discriminator_arch, default=1),
        )  # fmt: skip
        check_at_least(0, discriminator_lr=self.discriminator_lr, gradient_penalty=self.gradient_penalty)
        check_fraction(self.validation_fraction)
        if self.absorbing and self.agent.gamma == 1:
            raise ConfigError(
                "absorbing counts the last reward γ / (1 − γ) times: set gamma below 1, or absorbing=false"
            )

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        moves = Moves(*(x.flatten(0, 1) for x in (batch.obs, batch.action, batch.next_obs, batch.terminated)))
        x = self.encoding(moves)
        self._learn(self._with_rest(x, moves.terminated))
        reward = self._reward(x, moves.terminated).reshape(batch.reward.shape).to(batch.reward.dtype)
        metrics = self.agent.update(batch._replace(reward=reward), progress)
        return {**metrics, **self._measured, "gail/reward": reward.mean()}

    def _learn(self, new: Tensor) -> None:
        """Steps of the discriminator, if enough transitions have come; measures it before on those."""
        self.fresh = torch.cat([self.fresh, new])
        if len(self.fresh) < self.batch_size:
            return
        self._measured = self.discriminator.measure(self.held_out, self.fresh)
        self.buffer = torch.cat([self.buffer, self.fresh])[-self.buffer_size :]
        self.fresh = self.fresh[:0]
        for _ in range(self.discriminator_steps):
            self.discriminator.step(self._some(self.expert), self._some(self.buffer))

    def _some(self, of: Tensor) -> Tensor:
        return of[torch.randint(len(of), (self.batch_size,), generator=self.generator)]

    def _seen(self, of: Demonstrations) -> Tensor:
        moves = _moves(of)
        return self._with_rest(self.encoding(moves), moves.terminated)

    def _with_rest(self, x: Tensor, terminated: Tensor) -> Tensor:
        """Encoded transitions, and one more for each that leads to the absorbing state."""
        gone = int(terminated.sum()) if self.absorbing else 0
        return torch.cat([x, self.encoding.at_rest().expand(gone, -1)])

    def _reward(self, x: Tensor, terminated: Tensor) -> Tensor:
        """r(s, a), float32[B]; where an episode terminates, with γ / (1 − γ) times that of the absorbing state."""
        reward = reward_of(self.discriminator.logit(x), self.reward)
        if self.absorbing:
            rest = reward_of(self.discriminator.logit(self.encoding.at_rest()), self.reward)
            reward = reward + terminated * rest * self.agent.gamma / (1 - self.agent.gamma)
        return reward

    @property
    def networks(self) -> list[nn.Module]:
        return [*self.agent.networks, self.discriminator.network]

    def summary(self) -> str:
        kept = f"gradient penalty {self.gradient_penalty:g}" + (" and spectral norm" if self.spectral_norm else "")
        return f"imitates {self._transitions:,} transitions of {self.demonstrations}, {self.reward} rewards, {kept}"

    def get_extra_state(self) -> dict[str, object]:
        return {
            "buffer": [self.buffer.clone(), self.fresh.clone()],  # a view is saved with all that it is a view of
            "demonstrations": self._fingerprint,
            "measured": self._measured,
        }

    def set_extra_state(self, state: Mapping[str, object]) -> None:
        check_fingerprint(state["demonstrations"], self._fingerprint)
        self.buffer, self.fresh = cast("list[Tensor]", state["buffer"])
        self._measured = cast("dict[str, Tensor]", state["measured"])


def _moves(of: Demonstrations) -> Moves:
    return Moves(*(torch.from_numpy(x) for x in (of.obs, of.action, of.next_obs, of.terminated)))
