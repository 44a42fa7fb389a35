"""TensorBoard: event files in the run's tensorboard/, with torch's writer."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from agents.settings.values import text_of
from rl.run.sinks.base import Described, Pixels, as_gif, last_steps


class TensorBoard:
    """A row is a single event: ten times faster than an event per number.

    A resumed run adds a file that discards later steps of the other files, which a killed run may have written.
    """

    def __init__(self, run: Described) -> None:
        self._run = run
        self.held = last_steps(_rows(run.directory / "tensorboard", run.step)) if run.step else {}
        self._writer = SummaryWriter(str(run.directory / "tensorboard"), purge_step=run.step + 1 if run.step else None)
        if not run.step:
            rows = [f"| {name} | {text_of(value)} |" for name, value in run.settings.items()]
            self._writer.add_text("settings", "\n".join(["| setting | value |", "|---|---|", *rows]), 0)

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._add(Summary(value=values), step)

    def show(self, step: int, tag: str, pixels: Pixels) -> None:
        if pixels.ndim == 3:
            self._writer.add_image(tag, pixels, step, dataformats="HWC")
            return
        with as_gif(pixels) as file:
            data = file.read_bytes()
        image = Summary.Image(height=pixels.shape[1], width=pixels.shape[2], colorspace=3, encoded_image_string=data)
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def finish(self, summary: Mapping[str, float]) -> None:
        settings = {name: text_of(value) for name, value in self._run.settings.items()}
        metrics = {f"final/{name}": value for name, value in summary.items()}
        self._writer.add_hparams(settings, metrics, run_name=".")

    def close(self) -> None:
        self._writer.close()

    def _add(self, summary: Summary, step: int) -> None:
        self._writer._get_file_writer().add_summary(summary, step)


def _rows(directory: Path, until: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that remain after a resumed run has discarded the steps beyond its own."""
    for file in directory.glob("events.out.tfevents.*"):
        for event in EventFileLoader(str(file)).Load():
            if event.step <= until:
                yield event.step, [value.tag for value in event.summary.value]
