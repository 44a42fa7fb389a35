"""A run during training: its directory, its checkpoints, and what is saved when it fails."""

import math
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import torch

from agents.agent import Agent
from agents.checkpoint import CheckpointError
from agents.checkpoints import Checkpoints
from agents.episodes import cutoff_of
from agents.progress import ProgressBar
from agents.settings.run import RunSettings, updates_per_row
from agents.training import Hook
from agents.writing import write_text
from rl.run.goals import Goals
from rl.run.recorder import Follower, Recorder
from rl.run.recording import Films
from rl.run.signals import ignore
from rl.run.sinks.hook import Sinks
from rl.run.terminal import Interrupt, RunFailed


class Run(NamedTuple):
    """A run that is ready to train; new or resumed."""

    directory: Path
    settings: RunSettings
    agent: Agent
    recorder: Recorder | Follower
    goals: Goals
    sinks: Sinks
    checkpoints: Checkpoints
    source: str  # of the settings: a file, "defaults", or a checkpoint

    @property
    def checkpoint(self) -> Path:
        """Path of a checkpoint at the current step."""
        return self.checkpoints.path(self.agent)

    @property
    def first(self) -> bool:
        """Whether this rank records."""
        return self.agent.loop.ranks.index == 0

    @property
    def resuming(self) -> str:
        """The command that resumes the run."""
        return f"python -m rl.train --resume {shlex.quote(str(self.directory))}"

    def save(self) -> None:
        """Writes a checkpoint of the current step and deletes the oldest; all ranks call it together."""
        self.checkpoints.save(self.agent)

    @property
    def _films(self) -> list[Hook]:
        """Films come before the checkpoints: a resumed run makes an unfinished film again."""
        interval = self.settings.record_interval
        return [Films(self.directory, interval)] if interval else []

    def _save_interrupted(self) -> None:
        """Writes a checkpoint if the step has none. If that fails, raises RunFailed, which says where one was saved."""
        if not self.agent.loop.ranks.alone:  # the ranks saved together, or were cut off
            return
        try:
            if not self.checkpoint.exists():  # one from the end of the iteration has more in it
                self.save()
        except (CheckpointError, OSError) as error:
            raise self.failure(error) from error

    def train(self, interrupt: Interrupt, others: Sequence[Hook]) -> None:
        """Trains to `total_timesteps` or an earlier stop, and saves a checkpoint. others: hooks that come last.

        Raises KeyboardInterrupt after a signal, RunFailed if training fails; a checkpoint is saved in both cases.
        """
        agent, total = self.agent, self.settings.total_timesteps
        if self.goals.ended is not None:
            return
        try:
            agent.loop.begin_episodes()
            self._print_resume()
            with closing(ProgressBar(total, agent.loop.step)) as bar:
                interrupt.defer()
                shown = [bar, self.sinks] if self.first else []
                own = [self.recorder, *shown, interrupt, *self._films, *self.goals.hooks, self.checkpoints]
                every = updates_per_row(self.settings.log_interval, agent.n_steps * agent.worlds.num_envs)
                agent.learn(total - agent.loop.step, [*own, *others], log_interval=every)
                interrupt.status = agent.loop.ranks.highest(interrupt.status)  # it may not have reached every rank yet
                self.save()
                interrupt.deliver()
        except KeyboardInterrupt:
            ignore()
            self._save_interrupted()
            raise
        except Exception as error:
            raise self.failure(error) from error

    def _print_resume(self) -> None:
        worlds = self.agent.loop.worlds
        if worlds.resume == "new episodes":
            text = f"the state of {worlds.env_id} cannot be saved: if interrupted, this run resumes in new episodes"
            print(f"{'note':>12}  {text}\n", flush=True)

    def failure(self, error: Exception) -> RunFailed:
        """Saves a checkpoint if the parameters are finite, writes the traceback, and returns an error that names both.

        If one of several ranks fails, they cannot save together: the newest checkpoint is kept.
        """
        ranks = self.agent.loop.ranks
        if not ranks.alone:
            self.recorder.close()
            again = self.resuming.replace("python", f"torchrun --nproc-per-node={ranks.count}", 1)
            return RunFailed(
                f"rank {ranks.index} of {ranks.count}: {error}; go on from the newest checkpoint by: {again}"
            )
        kept, report = self._keep(), write_report(self.directory, error)
        with suppress(OSError):  # writing the rows may be what failed
            self.recorder.close()
        return RunFailed(f"{str(error) or type(error).__name__} (step {self.agent.loop.step:,}; kept {kept}; {report})")

    def _keep(self) -> str:
        """Saves a checkpoint in the run, else beside it, else in a temporary folder. Returns what was saved, where."""
        parameters = [p for network in self.agent.networks for p in network.parameters()]
        if not all(bool(torch.isfinite(p).all()) for p in parameters):
            return "no checkpoint, since the parameters are not finite"
        kept, problem = f"a checkpoint at step {self.agent.loop.step:,}", ""
        try:
            if not self.checkpoint.exists():  # one from the end of the iteration has more in it
                self.save()
            return kept
        except (CheckpointError, OSError) as unsaved:
            problem = str(unsaved)
        for folder in (self.directory.parent, Path(tempfile.gettempdir())):
            with suppress(CheckpointError, OSError):
                file = self.agent.save(folder / "-".join([*self.directory.parts[-3:], self.checkpoint.name]))
                return f"{kept} in {file}, which rl.evaluate and --set warm_start take"
        return f"no checkpoint: {problem}"

    def print_header(self) -> None:
        """Prints the run's summary before training, and compiles the kernels."""
        agent = self.agent
        batch = f"{agent.n_steps} × {agent.worlds.total_envs} steps per update"
        lines = {"agent": agent.name, **agent.describe(), "batch": batch}
        for title, text in {**lines, "settings": self.source, "run": str(self.directory)}.items():
            print(f"{title:>12}  {text}")
        if not agent.loop.exact:
            print(f"{'note':>12}  the environments' state could not be restored: they begin new episodes")
        if cut_off := self._cut_off():
            print(f"{'note':>12}  {cut_off}")
        agent.compile(lambda: print(f"{'compiling':>12}  kernels for this machine, once", flush=True))
        print(flush=True)

    def _cut_off(self) -> str:
        """Says when the final evaluations cut off episodes; '' if they do not."""
        episodes, most = self.settings.eval_episodes, self.settings.eval_max_steps
        cutoff = cutoff_of(self.agent.worlds, episodes, most)
        if cutoff == math.inf:
            return ""
        why = "no time limit" if most is None else f"eval_max_steps={most}"
        text = f"evaluation cuts off each of {2 * episodes:,} episodes after {cutoff:,.0f} steps, unless it ends"
        return f"{why}: {text}; set max_episode_steps{' or eval_max_steps' if most is None else ''}"


def write_report(directory: Path, error: Exception) -> str:
    """Writes an error's traceback to `error.txt`. Returns its path, or why it could not be written."""
    report = directory / "error.txt"
    try:
        write_text(report, "".join(traceback.format_exception(error)))
    except OSError as unwritten:
        return f"no traceback: {unwritten}"
    return f"traceback in {report}"
