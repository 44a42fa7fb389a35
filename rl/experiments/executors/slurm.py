"""`Slurm`: every run is a SLURM job. Driver and workers share a file system."""

import os
import shutil
import signal
from collections.abc import Mapping
from threading import Lock
from types import FrameType

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError, UncompletedJobError

from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from rl.experiments.executors.base import Job, Outcome, RunInterrupted, WorkerLost, check, fault, outcome_of
from rl.run.signals import TERMINATED
from rl.run.terminal import RunFailed

_SIGNAL = submitit.JobEnvironment._usr_sig()  # sent on preemption, and shortly before the time limit


def parameters_of(text: str, cpus: int, gpus: int) -> dict[str, object]:
    """submitit's parameters from "partition=gpu,time=120,…": sbatch options, time in minutes.

    Raises ConfigError for another form, or an option unknown to submitit.
    """
    parameters: dict[str, object] = {"name": "actor-critic", "cpus_per_task": cpus, "gpus_per_node": gpus}
    known = submitit.SlurmExecutor._valid_parameters()
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in known:
            hint = suggestion(key, sorted(known))
            raise ConfigError(f"--slurm takes sbatch options such as partition=cpu,time=120, not {part!r}{hint}")
        if key == "time" and not value.isdecimal():
            raise ConfigError(f"--slurm: time is a whole number of minutes, got {value!r}")
        name = "timeout_min" if key == "time" else f"slurm_{key}"
        plain = value.isdecimal() and (key == "time" or str(int(value)) == value)  # account=0012 stays as it is
        parameters[name] = int(value) if plain else value
    return parameters


class Slurm:
    """An executor that uses submitit. A preempted job saves a checkpoint, is requeued, and resumes from it."""

    attempts = 3

    def __init__(self, jobs: int, parameters: Mapping[str, object], cluster: str = "slurm") -> None:
        """parameters: from `parameters_of`. cluster: "local" uses processes of this machine, as tests do.

        Raises ConfigError if SLURM is not installed.
        """
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError("--slurm: there is no sbatch here; give the command where the cluster takes jobs")
        self.jobs, self._parameters, self._cluster = jobs, parameters, cluster
        self._running, self._lock, self._interrupted = list["submitit.Job[Outcome]"](), Lock(), False

    def run(self, job: Job) -> None:
        executor = submitit.AutoExecutor(job.out / "slurm", cluster=self._cluster)
        executor.update_parameters(**self._parameters)
        with self._lock:
            if self._interrupted:
                raise RunInterrupted("it was interrupted")
            try:
                submitted = executor.submit(Preemptible(job))
            except (FailedJobError, FailedSubmissionError, OSError) as error:
                raise RunFailed(f"sbatch: {' '.join(str(error).split())}") from None
            self._running.append(submitted)
        try:
            outcome = submitted.result()
        except FailedJobError as error:  # an exception in the job; another job would raise it again
            raise RunFailed(
                f"SLURM job {submitted.job_id}: {_last_line(error)}; see {submitted.paths.stderr}"
            ) from None
        except UncompletedJobError:
            if self._interrupted:
                raise RunInterrupted("it was interrupted") from None
            raise WorkerLost(f"SLURM job {submitted.job_id} ended early: see {submitted.paths.stderr}") from None
        except Exception as error:
            raise fault(error) from error
        finally:
            self._running.remove(submitted)
        check(outcome)

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            print(
                f"cancelling {len(self._running)} SLURM jobs, which save checkpoints; the same command goes on",
                flush=True,
            )
            for submitted in [*self._running]:
                submitted.cancel()

    def close(self) -> None: ...


def _last_line(error: FailedJobError) -> str:
    """The last line of the job's traceback, which submitit puts between rules."""
    _, _, trace = str(error).partition("-" * 22)
    lines = (trace or str(error)).partition("-" * 22)[0].split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it failed")


class Preemptible:
    """The function of a SLURM job. On preemption or the time limit, saves a checkpoint before the job is requeued."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> Outcome:
        requeue, preempted = signal.getsignal(_SIGNAL), False

        def on_signal(number: int, frame: FrameType | None) -> None:
            nonlocal preempted
            preempted = True
            os.kill(os.getpid(), signal.SIGTERM)

        signal.signal(_SIGNAL, on_signal)
        outcome = outcome_of(self.job.command, self.job.arguments)
        signal.signal(_SIGNAL, requeue)
        if preempted and outcome[0] == TERMINATED:
            os.kill(os.getpid(), _SIGNAL)  # submitit's handler requeues the job and exits
        return outcome

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit to requeue the job."""
        return DelayedSubmission(self)
