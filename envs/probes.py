"""Probes: tiny environments with known answers; each failing probe points at one part of an actor-critic.

Importing this module registers them: `python -m rl.train envs.probes:TimeLimit-v0`. Episodes have a few
steps, so seconds of training are enough to reach the values below (γ is the agent's discount).

| id | the environment | what a correct agent learns |
|---|---|---|
| ConstantReward-v0 | one step, reward 1 | V = 1 |
| ObservedReward-v0 | one step, the reward is the observation ±1 | V(s) = s |
| DelayedReward-v0 | two steps, reward 1 at the second | V(0) = γ, V(1) = 1 |
| ActionReward-v0 | one step, action 1 of `Discrete(2)` pays 1, action 0 pays −1 | π(1) → 1 |
| ContextAction-v0 | one step, the action must equal the observed context | π(a = s) → 1 |
| ShiftedAction-v0 | one step, action −1 of `Discrete(3, start=-1)` pays 1, the others −1 | π(first) → 1 |
| ContinuousTarget-v0 | one step, reward −(a − 0.5)², a ∈ [−1, 1] | mean → 0.5 |
| Recall-v0 | three steps, only the first shows the context, action 1 pays it at the last | needs a memory: return 1/2 |
| ForbiddenAction-v0 | one step, one of three actions is legal by `action_mask`, any other raises | return 1 |
| TimeLimit-v0 | 0 → 1 → 1 → …, reward 1 in state 1 forever, truncated at 5 steps | V(1) = 1/(1 − γ), V(0) = γ/(1 − γ) |
| GridWorld-v0 | two places on a 5 × 5 grid as a `Dict`, four moves, the target pays 1, at most 10 steps | return 1 |
| TicTacToe-v0 | against random moves; taken squares are masked and raise; 1 won, 0 drawn, −1 lost | return near 1 |
"""

from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Obs = NDArray[np.float32]
Infos = dict[str, object]
Places = dict[str, NDArray[np.int64]]
Board = NDArray[np.int64]
Step = tuple[Obs, float, bool, bool, Infos]


class Probe(gym.Env[Obs, object]):
    """An environment that observes one number and reuses its observation buffer, as careless environments do."""

    actions: spaces.Space[np.int64] | spaces.Space[Obs] = spaces.Discrete(2)

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = cast("spaces.Space[object]", self.actions)
        self.buffer = np.zeros(1, np.float32)

    def show(self, value: float) -> Obs:
        self.buffer[0] = value
        return self.buffer

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[Obs, Infos]:
        super().reset(seed=seed)
        return self.show(self.first()), {}

    def first(self) -> float:
        return 0.0

    def context(self) -> float:
        """−1 or 1 with equal probability."""
        return float(self.np_random.choice([-1.0, 1.0]))


class ConstantReward(Probe):
    def step(self, action: object) -> Step:
        return self.show(0.0), 1.0, True, False, {}


class ObservedReward(Probe):
    def first(self) -> float:
        return self.context()

    def step(self, action: object) -> Step:
        return self.buffer, float(self.buffer[0]), True, False, {}


class DelayedReward(Probe):
    def step(self, action: object) -> Step:
        second = bool(self.buffer[0] == 1.0)
        return self.show(1.0), float(second), second, False, {}


class ActionReward(Probe):
    def step(self, action: object) -> Step:
        return self.show(0.0), 1.0 if action == 1 else -1.0, True, False, {}


class ContextAction(Probe):
    def first(self) -> float:
        return self.context()

    def step(self, action: object) -> Step:
        return self.buffer, 1.0 if (action == 1) == bool(self.buffer[0] > 0) else -1.0, True, False, {}


class ShiftedAction(Probe):
    actions = spaces.Discrete(3, start=-1)

    def step(self, action: object) -> Step:
        if action not in self.action_space:
            raise ValueError(f"action {action} is not in {self.action_space}")
        return self.show(0.0), 1.0 if action == -1 else -1.0, True, False, {}


class ContinuousTarget(Probe):
    actions = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, action: object) -> Step:
        if action not in self.action_space:
            raise ValueError(f"action {action} is not in {self.action_space}")
        return self.show(0.0), -float((np.asarray(action)[0] - 0.5) ** 2), True, False, {}


class Recall(Probe):
    """Without memory, the last step looks the same in both contexts, and the best mean return is 0."""

    def first(self) -> float:
        self.hidden, self.count = self.context(), 0
        return self.hidden

    def step(self, action: object) -> Step:
        self.count += 1
        last = self.count == 3
        return self.show(0.0), self.hidden * float(last and action == 1), last, False, {}


class ForbiddenAction(Probe):
    actions = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[Obs, Infos]:
        obs, _ = super().reset(seed=seed)
        return obs, self.infos()

    def infos(self) -> Infos:
        self.legal = int(self.np_random.integers(3))
        return {"action_mask": (np.arange(3) == self.legal).astype(np.int8)}

    def step(self, action: object) -> Step:
        if action != self.legal:
            raise ValueError(f"action {action} is forbidden")
        return self.show(0.0), 1.0, True, False, self.infos()


class TimeLimit(Probe):
    """Gymnasium's TimeLimit wrapper truncates it: the last observation shows state 1, the one after reset state 0."""

    def step(self, action: object) -> Step:
        reward = float(self.buffer[0])
        return self.show(1.0), reward, False, False, {}


class GridWorld(gym.Env[Places, np.int64]):
    """The GridWorld of Gymnasium's tutorial "Create a custom environment". No target is more than 8 moves away."""

    side = 5
    moves = ((1, 0), (0, 1), (-1, 0), (0, -1))

    def __init__(self) -> None:
        place = spaces.Box(0, self.side - 1, (2,), np.int64)
        self.observation_space = cast("spaces.Space[Places]", spaces.Dict({"agent": place, "target": place}))
        self.action_space = spaces.Discrete(len(self.moves))

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[Places, Infos]:
        super().reset(seed=seed)
        agent, target = self.np_random.choice(self.side**2, 2, replace=False)
        self.agent, self.target = (np.array(divmod(int(cell), self.side)) for cell in (agent, target))
        return self.show(), {}

    def show(self) -> Places:
        return {"agent": self.agent, "target": self.target.copy()}

    def step(self, action: np.int64) -> tuple[Places, float, bool, bool, Infos]:
        self.agent = np.clip(self.agent + self.moves[action], 0, self.side - 1)
        arrived = bool((self.agent == self.target).all())
        return self.show(), float(arrived), arrived, False, {}


class TicTacToe(gym.Env[Board, np.int64]):
    """Squares are 0 (free), 1 (the agent, who begins) or 2 (the opponent, who plays uniformly random moves)."""

    lines = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])

    def __init__(self) -> None:
        self.observation_space = spaces.MultiDiscrete([3] * 9)
        self.action_space = spaces.Discrete(9)

    def reset(self, *, seed: int | None = None, options: Infos | None = None) -> tuple[Board, Infos]:
        super().reset(seed=seed)
        self.board = np.zeros(9, np.int64)
        return self.board.copy(), self.infos()

    def infos(self) -> Infos:
        return {"action_mask": (self.board == 0).astype(np.int8)}

    def step(self, action: np.int64) -> tuple[Board, float, bool, bool, Infos]:
        if self.board[action]:
            raise ValueError(f"square {action} is taken")
        self.board[action] = 1
        if not self.over():
            self.board[self.np_random.choice(np.flatnonzero(self.board == 0))] = 2
        reward = float(self.won(1)) - float(self.won(2))
        return self.board.copy(), reward, self.over(), False, self.infos()

    def won(self, player: int) -> bool:
        return bool((self.board[self.lines] == player).all(1).any())

    def over(self) -> bool:
        return self.won(1) or self.won(2) or bool(self.board.all())


_LIMITS = {"GridWorld": 10, "TimeLimit": 5}

for name in (
    "ConstantReward", "ObservedReward", "DelayedReward", "ActionReward", "ContextAction", "ShiftedAction", "Recall",
    "ForbiddenAction", "ContinuousTarget", "GridWorld", "TicTacToe", "TimeLimit",
):  # fmt: skip
    gym.register(
        f"{name}-v0",
        entry_point=f"envs.probes:{name}",
        max_episode_steps=_LIMITS.get(name),
        disable_env_checker=True,  # would warn about the intentionally reused buffer
    )
