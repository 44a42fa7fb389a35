"""`Link`: the run's end of the pipe to the sinks' process."""

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

_GRACE = 60  # seconds that the sinks get to finish writing
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from rl.run.sinks.process import main; main()"


class Link:
    """Starts the process and sends it messages from a thread, since writing to a full pipe blocks.

    The process has its own session, so that Ctrl-C reaches only the run. It ends once the run has closed the link or
    was killed, after writing everything received until then.
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
        """Waits up to a minute for the sinks to write everything."""
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
        with suppress(OSError):  # the process died; `close` warns of it
            while (message := self._messages.get()) is not None:
                pipe.write(pickle.dumps(message))
                pipe.flush()
        with suppress(OSError):
            pipe.close()
