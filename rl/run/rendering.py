"""Plays complete episodes of an agent in an environment that renders, in a window or frame by frame."""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.agent import Agent
from agents.episodes import EpisodeStep, episode_player
from agents.settings.values import ConfigError
from envs import EnvironmentUsageError, Variant, builder
from envs.build import AnyEnv

Frame = NDArray[np.uint8]  # [height, width, 3]


class Played(NamedTuple):
    """An episode so far: its undiscounted return and its length."""

    ret: float = 0.0
    length: int = 0

    def __str__(self) -> str:
        return f"return {self.ret:.2f}, {self.length:,} steps"


Watch = Callable[[Played], None]  # called with every finished episode


class Draw(Protocol):
    """Draws on the frame of a state. step: the step taken in this state; None for the final state of an episode."""

    def __call__(self, frame: Frame, step: EpisodeStep | None, played: Played) -> Frame: ...


@dataclass(frozen=True)
class Showing:
    """Which episodes to show. The first one is the first of `agents.evaluation.evaluate` with this seed."""

    seed: int
    episodes: int = 1
    deterministic: bool = True
    max_steps: int | None = None  # truncates each episode; None: as in evaluation


class _Framed(gym.Wrapper[object, object, object, object]):
    """Keeps the frame of every state: T + 1 frames for an episode of T steps."""

    def __init__(self, env: AnyEnv) -> None:
        super().__init__(env)
        self.frames = deque[Frame]()

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[object, dict[str, object]]:
        result = self.env.reset(seed=seed, options=options)
        self.frames.append(_frame(self.env))
        return result

    def step(self, action: object) -> tuple[object, float, bool, bool, dict[str, object]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.frames.append(_frame(self.env))
        return obs, float(reward), terminated, truncated, info


def _frame(env: AnyEnv) -> Frame:
    frame = np.asarray(env.render())
    if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise TypeError(f"a frame is {frame.dtype}{list(frame.shape)}, not uint8[height, width, 3]")
    return frame


def has_display() -> bool:
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"} & os.environ.keys())


def rendered(agent: Agent, mode: str) -> AnyEnv:
    """A new copy of the agent's training environment that renders; one frame has been rendered. mode: rgb_array or
    human.

    Raises ConfigError if the agent was trained on an object without a name, or the environment cannot render.
    """
    name, variant = str(agent.env), agent.worlds.origin.variant
    if not isinstance(agent.env, str):
        raise ConfigError("only an environment with a name can be watched; the agent was trained on an object")
    if agent.worlds.backend == "envpool":
        raise ConfigError(f"envpool's {name} cannot be rendered; train on another backend to watch")
    if mode == "rgb_array" and not has_display():
        os.environ["SDL_VIDEODRIVER"] = "dummy"  # otherwise pygame looks for a display and complains
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # and for a sound card
        os.environ.setdefault("MUJOCO_GL", "egl")  # Gymnasium's default, GLFW, needs a display
    variant = variant._replace(env_kwargs={**(variant.env_kwargs or {}), "render_mode": mode})
    try:
        env = builder(name, 1, variant)[0]()
    except EnvironmentUsageError as error:
        raise ConfigError(f"{name} takes no render_mode={mode!r}, so it cannot be watched: {error}") from error
    try:
        if mode not in (env.metadata.get("render_modes") or ()):
            raise ConfigError(f"{name} cannot be watched: render_mode={mode!r} is not among its render_modes")
        _follow(env)
        env.reset(seed=0)
        if mode == "rgb_array":
            _frame(env)
    except BaseException as error:  # from pygame, OpenGL or the environment
        env.close()
        if isinstance(error, KeyboardInterrupt | ConfigError):
            raise
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise ConfigError(f"{name} cannot be rendered here: {reason}{_remedy(env)}") from error
    return env


def _follow(env: AnyEnv) -> None:
    """Selects the MuJoCo model's own camera: Gymnasium 1.4 leaves a body that has one out of sight."""
    renderer = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is None or renderer.camera_id != -1 or "trackbodyid" in (renderer.default_cam_config or {}):
        return
    import mujoco  # present if there is such a renderer

    renderer.camera_id = mujoco.mj_name2id(renderer.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")  # −1 if there is none


def _remedy(env: AnyEnv) -> str:
    if "mujoco" not in type(env.unwrapped).__module__:
        return ""
    return "; without a display MuJoCo needs libegl1, or MUJOCO_GL=osmesa and libosmesa6 (names of Debian's packages)"


def show(agent: Agent, env: AnyEnv, showing: Showing, ended: Watch) -> None:
    """Plays the episodes in an environment that opens its own window."""
    for step, played in _steps(agent, env, showing):
        if _is_last(step):
            ended(played)


def frames(agent: Agent, env: AnyEnv, showing: Showing, draw: Draw, ended: Watch) -> Iterator[Frame]:
    """Frames of the episodes after `draw`: T + 1 for an episode of T steps."""
    framed = _Framed(env)
    with closing(_steps(agent, framed, showing)) as steps:
        for step, played in steps:
            yield draw(framed.frames.popleft(), step, played)
            if _is_last(step):
                yield draw(framed.frames.popleft(), None, played)
                ended(played)


def _steps(agent: Agent, env: AnyEnv, showing: Showing) -> Generator[tuple[EpisodeStep, Played]]:
    """Each step, with the return and length of its episode so far, the step included."""
    most = None if showing.max_steps is None else showing.max_steps * showing.episodes
    played = Played()
    with episode_player(agent, env, showing.episodes, showing.seed, Variant(), "sync", most) as player:
        for step in player.play(agent, showing.deterministic):
            played = Played(played.ret + float(step.reward[0]), played.length + 1)
            yield step, played
            if _is_last(step):
                played = Played()


def _is_last(step: EpisodeStep) -> bool:
    return bool((step.terminated | step.truncated)[0])


def frames_per_second(env: AnyEnv) -> float:
    """The environment's `render_fps`; 30 if it declares none, as in Gymnasium."""
    declared = env.metadata.get("render_fps")
    return float(declared) if isinstance(declared, int | float) and declared > 0 else 30.0
