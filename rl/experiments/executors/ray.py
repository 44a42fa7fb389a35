"""`Ray`: every run is a task on a Ray cluster. Workers do not need access to the driver's disk."""

import logging
import signal
import socket
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agents.machine import versions
from agents.settings.values import ConfigError
from rl.experiments.executors.away import Parcel, train
from rl.experiments.executors.base import Job, Outcome, RunInterrupted, WorkerLost, check, fault
from rl.experiments.executors.copies import Changes, apply, packed
from rl.run.files import lock
from rl.run.recorder import new_directory
from rl.run.signals import INTERRUPTED, TERMINATED
from rl.run.terminal import RunFailed

_ANSWER = 10  # seconds to wait for a cluster's answer


class Ray:
    """An executor. During training, a run's directory is copied to the driver at every checkpoint.

    If a run's worker or node is lost, another task resumes it from that copy.
    """

    attempts = 3

    def __init__(self, jobs: int, address: str, cpus: int, gpus: int) -> None:
        """address: auto or host:port. cpus, gpus: per run. Raises ConfigError if no cluster answers."""
        _connect(address)
        _note_what_is_missing(cpus, gpus)
        self.jobs, self._lock, self._interrupted = jobs, Lock(), False
        self._task = ray.remote(_train).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mail = Queue(jobs, {"num_cpus": 0, "scheduling_strategy": here})
        self._copies, self._tokens = dict[int, Copy](), count()
        self._running = dict[int, "ray.ObjectRef[Outcome]"]()
        self._collector = Thread(target=self._collect, daemon=True)
        self._collector.start()

    def run(self, job: Job) -> None:
        try:
            copy = Copy(job)
            parcel = copy.parcel(job)
        except (ConfigError, OSError) as error:
            raise RunFailed(" ".join(str(error).split())) from None
        with self._lock:
            if self._interrupted:
                raise RunInterrupted("it was interrupted")
            token = next(self._tokens)
            self._copies[token] = copy
            self._running[token] = self._task.remote(parcel, self._mail, token)
        try:
            status, problem = self._outcome(token)
        finally:
            self._settle(token)
        if copy.problem is not None:
            raise RunFailed(copy.problem)
        if status in (INTERRUPTED, TERMINATED) and not self._interrupted:
            raise WorkerLost("its node ended the task")
        check((status, problem.replace(copy.name, str(copy.directory)) if copy.name else problem))

    def _outcome(self, token: int) -> Outcome:
        """Waits for a task. Raises RunFailed, RunInterrupted or WorkerLost if it did not end normally."""
        try:
            outcome: Outcome = ray.get(self._running[token])
            return outcome
        except TaskCancelledError:
            raise RunInterrupted("it was interrupted") from None
        except RayTaskError as error:
            raise fault(error.cause) from error
        except RayError as error:
            first, _, _ = " ".join(str(error).split()).partition(". ")
            raise WorkerLost(f"{type(error).__name__}: {first}") from None

    def _settle(self, token: int) -> None:
        """Waits until everything sent by the task is written; later messages, from a node given up, are dropped."""
        copy = self._copies[token]
        with suppress(RayError):  # the cluster is lost
            self._mail.put((token, "", None))
            copy.complete.wait()
        del self._copies[token], self._running[token]
        copy.close()

    def _collect(self) -> None:
        """Writes what the tasks send; runs in its own thread."""
        with suppress(RayError):
            while (mail := self._mail.get()) is not None:
                token, name, changes = mail
                copy = self._copies.get(token)
                if copy is None:
                    continue
                copy.take(name, changes)
                if copy.problem is not None:
                    with self._lock:
                        ray.cancel(self._running[token], recursive=False)
        for copy in [*self._copies.values()]:
            copy.complete.set()

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            print(
                f"ending {len(self._running)} Ray tasks, which save checkpoints; the same command goes on", flush=True
            )
            for task in self._running.values():
                ray.cancel(task, recursive=False)

    def close(self) -> None:
        with suppress(RayError):
            self._mail.put(None)
        self._collector.join()
        ray.shutdown()


class Copy:
    """The driver's copy of a run, locked during training elsewhere."""

    def __init__(self, job: Job) -> None:
        """Raises ConfigError if another process is training the run."""
        self.directory, self._out = job.unfinished(), job.out
        self.name = "" if self.directory is None else self.directory.relative_to(job.out).as_posix()  # as for workers
        self._lock = None if self.directory is None else lock(self.directory)
        self.complete, self.problem = Event(), None

    problem: str | None  # why the copy is incomplete

    def parcel(self, job: Job) -> Parcel:
        """Raises ConfigError if workers could not find a file, OSError if it cannot be read."""
        relative = [name for name in job.files if not Path(name).is_absolute()]
        for name in relative:
            if ".." in Path(name).parts:
                raise ConfigError(
                    f"workers cannot find {name}, which is outside of the working directory: move it inside"
                )
        carried = {name: packed(Path(name)) for name in (*relative, *set(job.files).intersection(job.argv))}
        run = None if self.directory is None else (self.name, packed(self.directory))
        return Parcel(job.command, job.argv, job.changes, run, carried, versions())

    def take(self, name: str, changes: Changes | None) -> None:
        """Stores a worker's message; None follows the last changes."""
        if changes is None:
            self.complete.set()
        elif self.problem is None:
            try:
                self._take(name, changes)
            except (ConfigError, OSError) as error:
                self.problem = f"the driver cannot keep its run: {' '.join(str(error).split())}"

    def _take(self, name: str, changes: Changes) -> None:
        if self.directory is None:
            self.name, self.directory = name, new_directory(self._out / name)
            self._lock = lock(self.directory)
        apply(changes, self.directory)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()


def _train(parcel: Parcel, mail: Queue, token: int) -> Outcome:
    """Body of the Ray task."""
    return train(parcel, lambda name, changes: mail.put((token, name, changes)))


def _connect(address: str) -> None:
    """Raises ConfigError early; Ray itself retries for minutes if nothing listens at the address."""
    host, _, port = address.rpartition(":")
    if address != "auto":
        if not host or not port.isdecimal():
            raise ConfigError(f"--address is auto or host:port of a Ray cluster, got {address!r}")
        try:
            socket.create_connection((host, int(port)), _ANSWER).close()
        except (OSError, OverflowError) as error:
            raise ConfigError(f"--address {address}: no Ray cluster answers there ({error})") from None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError:
        raise ConfigError(f"--address {address}: no Ray cluster runs here; `ray start --head` starts one") from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray installs its own


def _note_what_is_missing(cpus: int, gpus: int) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        print(f"note: no node of the Ray cluster has {cpus} CPUs and {gpus} GPUs; runs wait for one", flush=True)
