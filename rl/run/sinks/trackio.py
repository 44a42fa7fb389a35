"""trackio: logs to its local store, TRACKIO_DIR; `trackio show` opens it."""

import os
from collections.abc import Mapping

import trackio
import trackio.run
import trackio.utils
from trackio.sqlite_storage import SQLiteStorage

from agents.settings.values import plain
from rl.run.sinks.base import Described, Pixels, as_gif, last_steps

for _module in (trackio, trackio.run, trackio.utils):  # keeps its messages out of our output
    setattr(_module, "print", lambda *_, **__: None)  # noqa: B010 - mypy knows no such attribute


class Trackio:
    """A resumed run keeps its name, and so continues the same log."""

    def __init__(self, run: Described) -> None:
        self._project = os.environ.get("TRACKIO_PROJECT", "actor-critic")
        rows = SQLiteStorage.get_logs(self._project, run.name) if run.step else []
        self.held = last_steps((row["step"], row) for row in rows)
        self._run = trackio.init(
            self._project, name=run.name, resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False,
            config={name: plain(value) for name, value in run.settings.items()},
        )  # fmt: skip

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def show(self, step: int, tag: str, pixels: Pixels) -> None:
        if pixels.ndim == 3:
            self._run.log({tag: trackio.Image(pixels)}, step=step)
            return
        with as_gif(pixels) as file:
            self._run.log({tag: trackio.Video(str(file))}, step=step)

    def finish(self, summary: Mapping[str, float]) -> None:
        self.log(int(summary.get("total_timesteps", 0)), {f"final/{name}": value for name, value in summary.items()})

    def close(self) -> None:
        self._run.finish()  # type: ignore[no-untyped-call, unused-ignore]
