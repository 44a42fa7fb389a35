"""Policies to learn from: loaded, held to the student's spaces, and the divergence of a student from them."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from gymnasium import spaces
from torch import Tensor

from agents.a2c import A2C
from agents.registry import actor
from rl.distributions import Distribution
from rl.typed import ConfigError

Direction = Literal["forward", "reverse", "js"]


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
        return [teacher.policy(teacher.encoded(obs), None, legal) for teacher in self.policies]

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
    teacher = actor(run, engine="torch")
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
