"""Policy distillation: a student learns to act as its teachers, on the states it comes to or on recorded ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from gymnasium import spaces
from torch import Tensor

from agents.a2c import A2C
from agents.imitation.base import AgentWrapper, check_at_least
from agents.imitation.offline import Epochs, Transitions, fit, recorded, steps_of
from agents.loop import Hook, RunChunk
from agents.maths.distributions import Distribution
from agents.maths.schedules import Schedule, value_at
from agents.rollout import Metrics, Rollout
from agents.settings.values import ConfigError

Direction = Literal["forward", "reverse", "js"]


@dataclass(eq=False, kw_only=True)
class Distill(AgentWrapper):
    """Loss: rl_coef · L_A2C + distill_coef · τ² · mean D(teacher, student) − ent_coef · mean H, at temperature τ.

    On-policy, the states are those of the student's rollouts; with demonstrations they are recorded ones, the loss is
    the divergence alone, and training ends as in `agents.imitation.clone`.
    With rl_coef > 0 the entropy bonus is that of L_A2C.
    Source: Hinton et al. 2015; Rusu et al. 2016, "Policy distillation"; with both losses Schmitt et al. 2018,
    "Kickstarting deep reinforcement learning".
    """

    teachers: tuple[str, ...] = ()  # run directories or checkpoints
    direction: Direction = "forward"  # KL(teacher ‖ student), reverse for KL(student ‖ teacher), or js
    temperature: float = 1.0
    distill_coef: Schedule = 1.0
    rl_coef: Schedule = 0.0  # weight of A2C's own loss; on-policy only
    demonstrations: str | None = None  # the file of states to learn from; null takes the student's own
    batch_size: int = 64  # transitions an update of demonstrations; a multiple of num_envs
    validation_fraction: float = 0.2  # of their episodes, held out
    patience: int = 20  # epochs without improvement

    name = "distill"
    obstacle = "distillation has a loss of its own"

    def prepare(self) -> None:
        agent = self.agent
        check_at_least(0, distill_coef=self.distill_coef, rl_coef=self.rl_coef)
        self.masters = Teachers(self.teachers, agent, self.direction, self.temperature)
        self.epochs: Epochs | None = None
        if self.demonstrations is None:
            return
        if self.rl_coef != 0 or agent.gru_size is not None:
            raise ConfigError("rl_coef and gru_size need the student's own states: leave demonstrations out")
        given = recorded(agent, self.demonstrations)
        self.n_steps = steps_of(self.batch_size, self.worlds.num_envs)
        self.epochs = Epochs(self, given, self.batch_size, self.validation_fraction, self.patience)

    @property
    def chunk(self) -> RunChunk | None:
        return None if self.epochs is None else self.epochs.chunk

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step on a rollout of the student."""
        learner = self.agent.learner
        learner.observe_rewards(batch)
        objective = self.agent.objective(batch, progress)
        taught, pi = self.masters.distributions(batch.obs, objective.inputs.legal), objective.pi
        distilled = value_at(self.distill_coef, progress) * self.masters.loss(taught, pi)
        own, ent_coef = value_at(self.rl_coef, progress), learner.optimizer.entropy_coefficient(progress)
        loss = own * objective.loss if own else -ent_coef * pi.entropy().mean()
        metrics = self._metrics(distilled, self.masters.forward_kl(taught, pi))
        return {**learner.descend(objective._replace(loss=loss + distilled), batch, progress), **metrics}

    def learn_from(self, batch: Transitions, progress: float) -> Metrics:
        """One gradient step on recorded states."""
        pi = batch.policy(self.agent)
        taught = self.masters.distributions(batch.obs, batch.legal)
        distilled = value_at(self.distill_coef, progress) * self.masters.loss(taught, pi)
        kl = self.masters.forward_kl(taught, pi)
        return {**fit(self.agent, batch, pi, distilled, progress), **self._metrics(distilled, kl)}

    def held_out_loss(self, batch: Transitions) -> Tensor:
        """mean KL(teacher ‖ student)."""
        return self.masters.forward_kl(self.masters.distributions(batch.obs, batch.legal), batch.policy(self.agent))

    @staticmethod
    def _metrics(distilled: Tensor, kl: Tensor) -> dict[str, Tensor]:
        """Before the step, on states that the student was not trained on if they are its own."""
        return {"train/distill_loss": distilled.detach(), "train/teacher_kl": kl.detach()}

    def learn(self, total_timesteps: int, hooks: Sequence[Hook] = ()) -> Self:
        """See `A2C.learn`, or with demonstrations `Clone.learn`."""
        if self.epochs is None:
            return super().learn(total_timesteps, hooks)
        self.epochs.run(super().learn, total_timesteps, hooks)
        return self

    def summary(self) -> str:
        teachers = f"{', '.join(self.teachers)}, {self.direction} at temperature {self.temperature:g}"
        return f"learns from {teachers}, on {'its own states' if self.epochs is None else self.epochs.describe()}"


class Teachers:
    """One or several; they are not differentiated, and count equally.

    Raises ConfigError if there is none, if one has other spaces than the student or a memory, and where the actions
    have no such divergence or temperature.
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
        """What they would do. obs: [..., *shape], as the environment gave it; legal: bool[..., A]."""
        return [teacher.policy(teacher.learner.encoded(obs), None, legal) for teacher in self.policies]

    def loss(self, taught: Sequence[Distribution], pi: Distribution) -> Tensor:
        """τ² · mean D(teacher, student), the logits of both divided by the temperature τ; τ² keeps the gradient's size.

        Forward, D is KL(teacher ‖ student), reverse KL(student ‖ teacher), js the Jensen-Shannon divergence.
        Source: Hinton et al. 2015, "Distilling the knowledge in a neural network".
        """
        student = self._softened(pi)
        each = [self._divergence(self._softened(teacher), student).mean() for teacher in taught]
        return self.temperature**2 * torch.stack(each).mean()

    def forward_kl(self, taught: Sequence[Distribution], pi: Distribution) -> Tensor:
        """mean KL(teacher ‖ student) at temperature 1, whatever is minimized."""
        return torch.stack([teacher.kl(pi).mean() for teacher in taught]).mean()

    def _softened(self, of: Distribution) -> Distribution:
        return of if self.temperature == 1 else self.student.policy.distribution(of.raw / self.temperature)

    def _divergence(self, teacher: Distribution, student: Distribution) -> Tensor:
        if self.direction == "forward":
            return teacher.kl(student)
        return student.kl(teacher) if self.direction == "reverse" else teacher.js(student)


def _load(run: str, student: A2C) -> A2C:
    teacher = A2C.load(run, engine="torch")
    teacher.worlds.close()
    ours, theirs = ((a.worlds.env_obs_space, a.worlds.env_action_space) for a in (student, teacher))
    if ours != theirs:
        raise ConfigError(
            f"teachers: {run} was trained on {theirs[0]} → {theirs[1]}, the student has {ours[0]} → {ours[1]}"
        )
    if teacher.squash_output != student.squash_output:
        raise ConfigError(f"teachers: squash_output is {teacher.squash_output} in {run}, and not here; make them equal")
    if teacher.gru_size is not None:
        raise ConfigError(f"teachers: {run} has a memory, which cannot follow the student's steps; take one without")
    return teacher
