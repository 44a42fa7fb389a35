"""Films of an agent while it trains."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np

from agents.agent import Agent
from agents.hooks import same_generators
from agents.training import Hook, Training
from rl.run.film import check_film, write_film
from rl.run.overlay import Overlay, Plain, resized
from rl.run.readings import has_readings
from rl.run.rendering import Draw, Frame, Played, Showing, frames, frames_per_second, rendered

_HEIGHT, _MOST = 200, 150  # pixels and frames of the copy passed to hooks


def check_recording(agent: Agent) -> None:
    """Raises ConfigError if the extra is missing, or the agent's environment cannot render here."""
    check_film(Path("film.mp4"))
    rendered(agent, "rgb_array").close()


class Films(Hook):
    """Writes `directory`/films/step-STEP.mp4 after the first update at or past each multiple of `step_interval`
    environment steps: a deterministic episode, with π, V and δ of an actor-critic. Passes a small copy to all hooks.

    The episode is the first one of the final evaluation. Recording does not change training.
    """

    def __init__(self, directory: Path, step_interval: int) -> None:
        self.directory, self.step_interval = directory, step_interval

    def on_steps(self, training: Training) -> None:
        agent, copy = cast(Agent, training.agent), _Copy()
        draw: Draw = Overlay(agent) if has_readings(agent) else Plain()
        with same_generators(), closing(rendered(agent, "rgb_array")) as env:
            pictures = frames(agent, env, Showing(agent.seed), draw, _ignore)
            path = self.directory / "films" / f"step-{training.step:012}.mp4"
            write_film(path, copy.following(pictures), frames_per_second(env))
        training.show("film", np.stack(copy.frames))


class _Copy:
    """A small copy of a film: every frame, or every second, fourth, … frame of a longer film."""

    def __init__(self) -> None:
        self.frames, self._every = list[Frame](), 1

    def following(self, film: Iterable[Frame]) -> Iterator[Frame]:
        for i, frame in enumerate(film):
            if i % self._every == 0:
                self.frames.append(resized(frame, _HEIGHT))
            if len(self.frames) > _MOST:
                self.frames, self._every = self.frames[::2], 2 * self._every
            yield frame


def _ignore(played: Played) -> None:
    """Prints nothing about an episode."""
