"""Observations, rewards and ends of Gymnasium's MuJoCo environments of version 5, for N environments at once.

A class computes what `step` of the environment named in `TASKS` computes after the simulation, with the same operations
in the same order, so that every number has the same bits. Arrays have a row per environment, so [N] for a number.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.backends.base import Flags
from envs.spaces import Array

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """What a step of N environments returns, before time limits."""

    obs: Floats  # [N, D]
    reward: Floats
    terminated: Flags
    infos: dict[str, Array]


class Task:
    """Shared by the tasks: what is read from the simulations, and the costs.

    envs: unwrapped environments, built from the same id with the same arguments, which do not change.
    """

    hidden: ClassVar[int]  # coordinates that `exclude_current_positions_from_observation` hides

    def __init__(self, envs: Sequence[Any]) -> None:
        self.env = envs[0]
        self._skipped = self.hidden if self.env._exclude_current_positions_from_observation else 0
        self._qpos = [env.data.qpos for env in envs]  # views, which the simulations change
        self._qvel = [env.data.qvel for env in envs]

    def place(self) -> Floats:
        """What moves forward: x, [N], or x and y, [N, 2]."""
        raise NotImplementedError

    def outcome(self, before: Floats, actions: Array) -> Outcome:
        """before: `place` before the simulation; actions: [N, A]."""
        raise NotImplementedError

    def positions(self) -> Floats:
        return np.array(self._qpos)

    def velocities(self) -> Floats:
        return np.array(self._qvel)

    def observed(self, qpos: Floats, *others: Floats) -> Floats:
        return np.concatenate((qpos[:, self._skipped :], *others), axis=1)

    def control_cost(self, actions: Array) -> Floats:
        cost: Floats = self.env._ctrl_cost_weight * np.square(actions).sum(1)
        return cost

    def survived(self, healthy: Flags) -> tuple[Floats, Flags]:
        """The reward for being healthy, and whether the episode ends because the environment is not."""
        return healthy * self.env._healthy_reward, ~healthy & bool(self.env._terminate_when_unhealthy)


class HalfCheetah(Task):
    hidden = 1

    def place(self) -> Floats:
        return np.array([qpos[0] for qpos in self._qpos])

    def outcome(self, before: Floats, actions: Array) -> Outcome:
        qpos = self.positions()
        x_velocity = (qpos[:, 0] - before) / self.env.dt
        forward, cost = self.env._forward_reward_weight * x_velocity, self.control_cost(actions)
        infos = {"x_position": qpos[:, 0], "x_velocity": x_velocity, "reward_forward": forward, "reward_ctrl": -cost}
        return Outcome(self.observed(qpos, self.velocities()), forward - cost, np.zeros(len(qpos), bool), infos)


class Walker2d(HalfCheetah):
    def outcome(self, before: Floats, actions: Array) -> Outcome:
        qpos, qvel = self.positions(), self.velocities()
        x_velocity = (qpos[:, 0] - before) / self.env.dt
        forward, cost = self.env._forward_reward_weight * x_velocity, self.control_cost(actions)
        survive, terminated = self.survived(self.healthy(qpos, qvel))
        infos = {
            "x_position": qpos[:, 0], "z_distance_from_origin": qpos[:, 1] - self.env.init_qpos[1],
            "x_velocity": x_velocity, "reward_forward": forward, "reward_ctrl": -cost, "reward_survive": survive,
        }  # fmt: skip
        obs = self.observed(qpos, np.clip(qvel, -10, 10))
        return Outcome(obs, forward + survive - cost, terminated, infos)

    def healthy(self, qpos: Floats, qvel: Floats) -> Flags:
        (min_z, max_z), (min_angle, max_angle) = self.env._healthy_z_range, self.env._healthy_angle_range
        z, angle = qpos[:, 1], qpos[:, 2]
        upright: Flags = (min_z < z) & (z < max_z) & (min_angle < angle) & (angle < max_angle)
        return upright


class Hopper(Walker2d):
    def healthy(self, qpos: Floats, qvel: Floats) -> Flags:
        low, high = self.env._healthy_state_range
        state = np.concatenate((qpos[:, 2:], qvel), axis=1)
        healthy: Flags = super().healthy(qpos, qvel) & ((low < state) & (state < high)).all(1)
        return healthy


class Swimmer(Task):
    hidden = 2

    def place(self) -> Floats:
        return np.array([qpos[:2] for qpos in self._qpos])

    def moved(self, qpos: Floats, velocity: Floats, rewards: dict[str, Array]) -> dict[str, Array]:
        """The infos of an environment that moves on a plane. qpos: [N, Q]; velocity: [N, 2]."""
        plane = qpos[:, :2]
        distance = np.sqrt([xy.dot(xy) for xy in np.ascontiguousarray(plane)])
        return {
            "x_position": plane[:, 0], "y_position": plane[:, 1], "distance_from_origin": distance,
            "x_velocity": velocity[:, 0], "y_velocity": velocity[:, 1], **rewards,
        }  # fmt: skip

    def outcome(self, before: Floats, actions: Array) -> Outcome:
        qpos = self.positions()
        velocity = (qpos[:, :2] - before) / self.env.dt
        forward, cost = self.env._forward_reward_weight * velocity[:, 0], self.control_cost(actions)
        infos = self.moved(qpos, velocity, {"reward_forward": forward, "reward_ctrl": -cost})
        return Outcome(self.observed(qpos, self.velocities()), forward - cost, np.zeros(len(qpos), bool), infos)


class Ant(Swimmer):
    def __init__(self, envs: Sequence[Any]) -> None:
        super().__init__(envs)
        body = self.env.data.body(self.env._main_body).id
        self._torso = [env.data.xpos[body] for env in envs]
        self._forces = [env.data.cfrc_ext for env in envs]

    def place(self) -> Floats:
        return np.array([xpos[:2] for xpos in self._torso])

    def outcome(self, before: Floats, actions: Array) -> Outcome:
        qpos, qvel, env = self.positions(), self.velocities(), self.env
        velocity = (self.place() - before) / self.env.dt
        forces = np.clip(np.array(self._forces), *env._contact_force_range)
        forward, control = velocity[:, 0] * env._forward_reward_weight, self.control_cost(actions)
        contact = env._contact_cost_weight * np.square(forces).reshape(len(qpos), -1).sum(1)
        (low, high), z = env._healthy_z_range, qpos[:, 2]
        finite = np.isfinite(qpos).all(1) & np.isfinite(qvel).all(1)
        survive, terminated = self.survived(finite & (low <= z) & (z <= high))
        rewards = {
            "reward_forward": forward, "reward_ctrl": -control, "reward_contact": -contact, "reward_survive": survive
        }  # fmt: skip
        felt = [forces[:, 1:].reshape(len(qpos), -1)] if env._include_cfrc_ext_in_observation else []
        reward = forward + survive - (control + contact)
        return Outcome(self.observed(qpos, qvel, *felt), reward, terminated, self.moved(qpos, velocity, rewards))


class Humanoid(Swimmer):
    def __init__(self, envs: Sequence[Any]) -> None:
        from gymnasium.envs.mujoco.humanoid_v5 import mass_center

        super().__init__(envs)
        self._envs = envs
        self._center: Callable[..., Floats] = mass_center
        self._controls, self._forces = ([getattr(env.data, name) for env in envs] for name in ("ctrl", "cfrc_ext"))
        parts = (("cinert", 1), ("cvel", 1), ("qfrc_actuator", 6), ("cfrc_ext", 1))  # and their hidden first rows
        self._felt = [
            [getattr(env.data, name)[first:] for env in envs]
            for name, first in parts
            if getattr(self.env, f"_include_{name}_in_observation") is True
        ]

    def place(self) -> Floats:
        return np.array([self._center(env.model, env.data) for env in self._envs])

    def outcome(self, before: Floats, actions: Array) -> Outcome:
        qpos, env = self.positions(), self.env
        velocity = (self.place() - before) / self.env.dt
        forward, control = env._forward_reward_weight * velocity[:, 0], self.control_cost(np.array(self._controls))
        contact = env._contact_cost_weight * np.square(np.array(self._forces)).reshape(len(qpos), -1).sum(1)
        contact = np.clip(contact, *env._contact_cost_range)
        (low, high), z = env._healthy_z_range, qpos[:, 2]
        survive, terminated = self.survived((low < z) & (z < high))
        rewards = {
            "reward_survive": survive, "reward_forward": forward, "reward_ctrl": -control, "reward_contact": -contact
        }  # fmt: skip
        infos = self.moved(qpos, velocity, rewards)
        infos |= {
            f"tendon_{x}": np.array([getattr(e.data, f"ten_{x}") for e in self._envs]) for x in ("length", "velocity")
        }
        obs = self.observed(qpos, self.velocities(), *(np.array(felt).reshape(len(qpos), -1) for felt in self._felt))
        return Outcome(obs, forward + survive - (control + contact), terminated, infos)


_MODULES = "gymnasium.envs.mujoco."
TASKS: dict[str, Callable[[Sequence[Any]], Task]] = {  # entry point of the environment → task
    f"{_MODULES}half_cheetah_v5:HalfCheetahEnv": HalfCheetah,
    f"{_MODULES}walker2d_v5:Walker2dEnv": Walker2d,
    f"{_MODULES}hopper_v5:HopperEnv": Hopper,
    f"{_MODULES}swimmer_v5:SwimmerEnv": Swimmer,
    f"{_MODULES}ant_v5:AntEnv": Ant,
    f"{_MODULES}humanoid_v5:HumanoidEnv": Humanoid,
}
