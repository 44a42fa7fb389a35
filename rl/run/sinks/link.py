"""`Link`: the run's end of the process that the sinks work in."""

import json
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, cast

from rl.run.sinks.base import Described
from rl.run.sinks.process import Message, Ping, warn

_GRACE = 60  # seconds that the sinks get at the end to write what is left
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from rl.run.sinks.process import main; main()"


class Link:
    """Starts the process, and passes messages on in a thread, since a pipe may be full.

    The process has a session of its own, so that Ctrl-C reaches the run alone; it ends once the run has closed the link
    or was killed, and has written what it received until then.
    """

    def __init__(self, names: Sequence[str], run: Described) -> None:
        self._names = ", ".join(names)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._messages: queue.SimpleQueue[tuple[Sequence[str], Described] | Message | None] = queue.SimpleQueue()
        self._messages.put((names, run))
        self._thread = threading.Thread(target=self._pass_on, name="sinks", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Returns at once."""
        if self._thread.is_alive():
            self._messages.put(message)

    def wait(self) -> None:
        """Returns once everything has been passed to the sinks."""
        self.put(Ping())
        cast(IO[bytes], self._process.stdout).read(1)  # b"" if the process has ended

    def close(self) -> None:
        """Waits until the sinks have written everything, a minute at most."""
        self._messages.put(None)
        try:
            if self._process.wait(_GRACE):
                warn(self._names, "their process died")
        except subprocess.TimeoutExpired:
            warn(self._names, f"did not end within {_GRACE} s")
            self._process.kill()
            self._process.wait()
        cast(IO[bytes], self._process.stdout).close()

    def _pass_on(self) -> None:
        pipe = cast(IO[bytes], self._process.stdin)
        with suppress(OSError):  # the process died, as `close` says
            while (message := self._messages.get()) is not None:
                pipe.write(pickle.dumps(message))
                pipe.flush()
        with suppress(OSError):
            pipe.close()
