"""Policy distillation: a student learns to act as its teachers, on the states it comes to or on recorded ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from agents.forward import legal_of
from agents.method import Method, check_at_least
from agents.offline import Epochs, Transitions, fit, recorded, steps_of
from agents.teachers import Direction, Teachers
from rl.loop import Chunks, Hook
from rl.rollout import Metrics, Rollout
from rl.schedules import Schedule, value_at
from rl.typed import ConfigError


@dataclass(eq=False, kw_only=True)
class Distill(Method):
    """Loss: rl_coef · L_A2C + distill_coef · τ² · mean D(teacher, student) − ent_coef · mean H, at temperature τ.

    On-policy, the states are those of the student's rollouts; with demonstrations they are recorded ones, the loss is
    the divergence alone, and training ends as in `agents.clone`. With rl_coef > 0 the entropy bonus is that of L_A2C.
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
        self.epochs = Epochs(self, given, self.batch_size, self.validation_fraction, self.patience)

    @property
    def n_steps(self) -> int:
        return self.agent.n_steps if self.epochs is None else steps_of(self.batch_size, self.worlds.num_envs)

    @property
    def chunk(self) -> Chunks | None:
        return None if self.epochs is None else self.epochs.chunk

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step on a rollout of the student."""
        of = self.agent.objective(batch, progress)
        taught = self.masters.distributions(batch.obs, legal_of(batch))
        distilled = value_at(self.distill_coef, progress) * self.masters.loss(taught, of.pi)
        own, ent_coef = value_at(self.rl_coef, progress), self.agent.descent.entropy_coefficient(progress)
        loss = own * of.loss if own else -ent_coef * of.pi.entropy().mean()
        measured = self._measured(distilled, self.masters.forward_kl(taught, of.pi))
        return {**self.agent.descend(of._replace(loss=loss + distilled), batch, progress), **measured}

    def learn_from(self, batch: Transitions, progress: float) -> Metrics:
        """One gradient step on recorded states."""
        pi = batch.policy(self.agent)
        taught = self.masters.distributions(batch.obs, batch.legal)
        distilled = value_at(self.distill_coef, progress) * self.masters.loss(taught, pi)
        kl = self.masters.forward_kl(taught, pi)
        return {**fit(self.agent, batch, pi, distilled, progress), **self._measured(distilled, kl)}

    def held_out_loss(self, batch: Transitions) -> Tensor:
        """mean KL(teacher ‖ student)."""
        return self.masters.forward_kl(self.masters.distributions(batch.obs, batch.legal), batch.policy(self.agent))

    @staticmethod
    def _measured(distilled: Tensor, kl: Tensor) -> dict[str, Tensor]:
        """Before the step, on states that the student was not trained on if they are its own."""
        return {"train/distill_loss": distilled.detach(), "train/teacher_kl": kl.detach()}

    def learn(self, total_timesteps: int, hooks: Sequence[Hook] = ()) -> Self:
        """See `A2C.learn`, or with demonstrations `Clone.learn`."""
        if self.epochs is None:
            return super().learn(total_timesteps, hooks)
        self.epochs.run(super().learn, total_timesteps, hooks)
        return self

    def describe(self) -> str:
        teachers = f"{', '.join(self.teachers)}, {self.direction} at temperature {self.temperature:g}"
        return f"learns from {teachers}, on {'its own states' if self.epochs is None else self.epochs.describe()}"

    def own_state(self) -> dict[str, object]:
        return {} if self.epochs is None else self.epochs.state_dict()

    def set_own_state(self, state: Mapping[str, object]) -> None:
        if self.epochs is not None:
            self.epochs.load_state_dict(state)
