"""`Slurm`: every run is a SLURM job. Driver and workers share a disk."""

import os
import shutil
import signal
from collections.abc import Mapping
from threading import Lock
from types import FrameType

import submitit
from submitit.core.utils import DelayedSubmission, UncompletedJobError

from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from rl.experiments.executors.base import Job, Outcome, RunInterrupted, WorkerLost, check, fault, outcome_of
from rl.run.signals import TERMINATED

_SIGNAL = submitit.JobEnvironment._usr_sig()  # of preemption, and shortly before the time limit


def parameters_of(text: str, cpus: int, gpus: int) -> dict[str, object]:
    """Of submitit, from "partition=gpu,time=120,…": options of sbatch, time in minutes.

    Raises ConfigError on another form, or an option that submitit does not know.
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
        parameters[name] = int(value) if value.isdecimal() else value
    return parameters


class Slurm:
    """An executor, by submitit. A preempted job saves a checkpoint, returns to the queue, and goes on from there."""

    attempts = 3

    def __init__(self, jobs: int, parameters: Mapping[str, object], cluster: str = "slurm") -> None:
        """parameters: as `parameters_of` returns them; cluster: "local" for processes of this machine, as in tests.

        Raises ConfigError if there is no SLURM here.
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
            submitted = executor.submit(Preemptible(job))
            self._running.append(submitted)
        try:
            outcome = submitted.result()
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


class Preemptible:
    """What a SLURM job calls. Preemption, or the time limit, saves a checkpoint before the job returns to the queue."""

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
            os.kill(os.getpid(), _SIGNAL)  # submitit's handler returns the job to the queue, and exits
        return outcome

    def checkpoint(self) -> DelayedSubmission:
        """What submitit calls when the job runs again."""
        return DelayedSubmission(self)
