"""Policy distillation: a student imitates teachers, on the states that it visits or on recorded ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from gymnasium import spaces
from torch import Tensor

from agents.a2c import A2C
from agents.imitation.base import AgentWrapper, check_at_least
from agents.imitation.examples import Examples, gradient_step
from agents.imitation.offline import Epochs, load_demonstrations, n_steps_for
from agents.loop import RunChunk
from agents.maths.distributions import Distribution
from agents.maths.schedules import Schedule, value_at
from agents.networks.forward import legal_actions
from agents.ppo import PPO, Added, Loss
from agents.rollout import Metrics, Rollout
from agents.settings.ranges import Count
from agents.settings.values import ConfigError
from agents.training import AnyHook
from envs.spaces import brief

Direction = Literal["forward", "reverse", "js"]


@dataclass(eq=False, kw_only=True)
class Distill(AgentWrapper):
    """Loss: rl_coef · L_A2C + distill_coef · τ² · mean D(teacher, student) − ent_coef · mean H, at temperature τ.

    On-policy, the states are those of the student's rollouts. With demonstrations they are recorded, rl_coef is 0, and
    training stops early as in `agents.imitation.clone`. With rl_coef > 0 the entropy bonus is that of L_A2C.
    Source: Hinton et al. 2015; Rusu et al. 2016, "Policy distillation"; with both losses Schmitt et al. 2018,
    "Kickstarting deep reinforcement learning".
    """

    teachers: tuple[str, ...] = ()  # run directories or checkpoints
    direction: Direction = "forward"  # KL(teacher ‖ student); reverse: KL(student ‖ teacher); js: Jensen-Shannon
    temperature: float = 1.0  # divides the logits of the teachers and of the student
    distill_coef: Schedule = 1.0  # weight of the divergence from the teachers
    rl_coef: Schedule = 0.0  # weight of L_A2C; on-policy only
    demonstrations: str | None = None  # file of recorded states; null uses the student's rollouts
    batch_size: Count = 64  # transitions per update, with demonstrations; a multiple of num_envs
    validation_fraction: float = 0.2  # fraction of the episodes held out
    patience: Count = 20  # epochs without improvement before training ends

    name = "distill"
    changeable = ()
    obstacle = "distillation changes the loss"

    def prepare(self) -> None:
        agent = self.agent
        check_at_least(0, distill_coef=self.distill_coef, rl_coef=self.rl_coef)
        self.ensemble = TeacherEnsemble(self.teachers, agent, self.direction, self.temperature)
        self.epochs: Epochs | None = None
        if self.demonstrations is None:
            return
        if self.rl_coef != 0 or agent.gru_size is not None:
            raise ConfigError("rl_coef and gru_size need the student's own rollouts: leave demonstrations out")
        if agent.normalize_rewards:
            raise ConfigError("distillation from recorded states uses no rewards: leave normalize_rewards out")
        demonstrations = load_demonstrations(agent, self.demonstrations)
        self.n_steps = n_steps_for(self.batch_size, self.worlds.num_envs)
        self.epochs = Epochs(self, demonstrations, self.batch_size, self.validation_fraction, self.patience)

    @property
    def chunk(self) -> RunChunk | None:
        return None if self.epochs is None else self.epochs.chunk

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step on a rollout of the student."""
        learner = self.agent.learner
        batch = batch.to(learner.device)
        learner.observe_rewards(batch)
        objective = self.agent.objective(batch, progress)
        teachers = self.ensemble.distributions(batch.obs, objective.inputs.legal)
        loss, metrics = self._combined(objective.loss, objective.pi, teachers, progress)
        return {**learner.descend(objective._replace(loss=loss), batch, progress), **metrics}

    def _combined(
        self, rl_loss: Tensor, pi: Distribution, teachers: Sequence[Distribution], progress: float
    ) -> tuple[Tensor, Metrics]:
        """The loss on states of the student, and its metrics. rl_loss: of the wrapped algorithm."""
        distill_loss = value_at(self.distill_coef, progress) * self.ensemble.loss(teachers, pi)
        if rl_coef := value_at(self.rl_coef, progress):
            loss = rl_coef * rl_loss + distill_loss
        else:
            loss = distill_loss - self.agent.learner.optimizer.entropy_coefficient(progress) * pi.entropy().mean()
        return loss, self._metrics(distill_loss, self.ensemble.forward_kl(teachers, pi))

    def learn_from(self, batch: Examples, progress: float) -> Metrics:
        """One gradient step on recorded states."""
        pi = batch.training_policy(self.agent)
        teachers = self.ensemble.distributions(batch.obs, batch.legal)
        distill_loss = value_at(self.distill_coef, progress) * self.ensemble.loss(teachers, pi)
        metrics = self._metrics(distill_loss, self.ensemble.forward_kl(teachers, pi))
        return {**gradient_step(self.agent, batch, pi, distill_loss, progress), **metrics}

    def held_out_loss(self, batch: Examples) -> Tensor:
        """mean KL(teacher ‖ student)."""
        return self.ensemble.forward_kl(self.ensemble.distributions(batch.obs, batch.legal), batch.policy(self.agent))

    @staticmethod
    def _metrics(distill_loss: Tensor, kl: Tensor) -> dict[str, Tensor]:
        """Measured before the gradient step, when the student has not yet learned from the rollout's states."""
        return {"train/distill_loss": distill_loss.detach(), "train/teacher_kl": kl.detach()}

    def run_loop(self, until: int, hooks: Sequence[AnyHook], log_interval: int) -> None:
        """See `A2C.learn`; with demonstrations, see `Clone.run_loop`."""
        if self.epochs is None:
            super().run_loop(until, hooks, log_interval)
        else:
            self.epochs.run(super().run_loop, until, hooks, log_interval)

    def summary(self) -> str:
        teachers = f"{', '.join(self.teachers)}, {self.direction} at temperature {self.temperature:g}"
        return f"learns from {teachers}, on {'its own rollouts' if self.epochs is None else self.epochs.describe()}"


@dataclass(eq=False, kw_only=True)
class DistillPPO(Distill):
    """Distillation into a PPO: `DistillPPO(PPO(env), teachers=…)`. Every minibatch has this loss, with L_PPO in it."""

    name = "distill-ppo"
    wrapped = PPO
    wraps = PPO.name

    def prepare(self) -> None:
        own = cast(PPO, self.agent).batch_size
        if self.batch_size != own:
            raise ConfigError(f"batch_size is {self.batch_size}, and {own} of the PPO: make them equal")
        super().prepare()

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """Epochs of minibatches on a rollout of the student."""
        agent = cast(PPO, self.agent)
        batch = batch.to(agent.learner.device)
        teachers = self.ensemble.distributions(batch.obs, legal_actions(batch))
        return agent.learn_from(batch, progress, Added(torch.stack([pi.raw for pi in teachers], -2), self._guided))

    def _guided(self, loss: Loss, teachers: Tensor, progress: float) -> Loss:
        policies = [self.agent.policy.distribution(raw) for raw in teachers.unbind(-2)]
        total, metrics = self._combined(loss.total, loss.pi, policies, progress)
        return Loss(total, {**loss.metrics, **metrics}, loss.pi)


class TeacherEnsemble:
    """One or several teachers with equal weights; not differentiated.

    Raises ConfigError if there are no teachers, if one is recurrent or has other spaces than the student, and if the
    divergence or the temperature is undefined for the actions.
    """

    def __init__(self, runs: Sequence[str], student: A2C, direction: Direction, temperature: float) -> None:
        """runs: run directories or checkpoints."""
        if not runs:
            raise ConfigError("distillation needs teachers, a list of run directories: teachers=[RUN]")
        if not (temperature > 0 and math.isfinite(temperature)):
            raise ConfigError(f"temperature must be positive, got {temperature}")
        actions = student.worlds.policy_action_space
        if direction == "js" and not isinstance(actions, spaces.Discrete):
            raise ConfigError(f"direction js is for Discrete actions, these are {actions}: take forward or reverse")
        if temperature != 1 and isinstance(actions, spaces.Box):
            raise ConfigError(f"temperature divides logits, and {actions} has none: leave it at 1")
        self.student, self.direction, self.temperature = student, direction, temperature
        self.policies = [_load(run, student) for run in runs]

    @torch.no_grad()
    def distributions(self, obs: Tensor, legal: Tensor | None) -> list[Distribution]:
        """The teachers' policies. obs: [..., *shape], as the environment returned it; legal: bool[..., A]."""
        return [teacher.policy(teacher.learner.encoded(obs), None, legal) for teacher in self.policies]

    def loss(self, teachers: Sequence[Distribution], pi: Distribution) -> Tensor:
        """τ² · mean D(teacher, student), all logits divided by the temperature τ; τ² preserves the gradient's scale.

        D: KL(teacher ‖ student) forward, KL(student ‖ teacher) reverse, the Jensen-Shannon divergence for js.
        Source: Hinton et al. 2015, "Distilling the knowledge in a neural network".
        """
        student = self._soften(pi)
        divergences = [self._divergence(self._soften(teacher), student).mean() for teacher in teachers]
        return self.temperature**2 * torch.stack(divergences).mean()

    def forward_kl(self, teachers: Sequence[Distribution], pi: Distribution) -> Tensor:
        """mean KL(teacher ‖ student) at temperature 1, whichever divergence is being minimized."""
        return torch.stack([teacher.kl(pi).mean() for teacher in teachers]).mean()

    def _soften(self, pi: Distribution) -> Distribution:
        return pi if self.temperature == 1 else self.student.policy.distribution(pi.raw / self.temperature)

    def _divergence(self, teacher: Distribution, student: Distribution) -> Tensor:
        if self.direction == "forward":
            return teacher.kl(student)
        return student.kl(teacher) if self.direction == "reverse" else teacher.js(student)


def _load(run: str, student: A2C) -> A2C:
    teacher = A2C.load_source(run, str(student.learner.device))
    ours, theirs = ((a.worlds.env_obs_space, a.worlds.env_action_space) for a in (student, teacher))
    if ours != theirs:
        own, other = (" → ".join(map(brief, pair)) for pair in (ours, theirs))
        raise ConfigError(f"teachers: {run} was trained on {other}, the student has {own}")
    squashed = student.squash_output
    if teacher.squash_output != squashed:
        raise ConfigError(f"teachers: squash_output is {not squashed} in {run}, but {squashed} here; make them equal")
    if teacher.gru_size is not None:
        raise ConfigError(f"teachers: {run} is recurrent; a teacher must not have a gru_size")
    return teacher
