"""Writes MP4 and GIF films with the ffmpeg of imageio-ffmpeg."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from agents.settings.values import ConfigError
from agents.writing import naming
from envs.extras import install_command
from rl.run.rendering import Frame

ENDINGS = (".mp4", ".gif")
_LOSSLESS = ("-qp", "0")
_SMALL = ("-crf", "20", "-movflags", "+faststart")  # a browser can start playing before the download ends


def check_film(path: Path) -> None:
    """Raises ConfigError unless the file ends in .mp4 or .gif and the extra is installed."""
    if path.suffix not in ENDINGS:
        raise ConfigError(f"a film ends in {' or '.join(ENDINGS)}, got {path}")
    try:
        import imageio_ffmpeg  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(f"films need the extra video: {install_command('video')}") from None


def write_film(path: Path, frames: Iterable[Frame], fps: float) -> int:
    """Writes a film, as H.264 in MP4 or as GIF, completely or not at all. Returns the number of frames.

    Raises ConfigError as `check_film` does, OSError if it cannot be written.
    """
    check_film(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    parent = path.parent.absolute()  # ffmpeg takes "12:30.mp4" for an address, and "/12:30.mp4" for a file
    with naming(path), TemporaryDirectory(dir=parent, prefix=f".film.{os.getpid()}.", suffix=".tmp") as folder:
        movie, is_gif = Path(folder) / "film.mp4", path.suffix == ".gif"
        count = _encode(movie, frames, fps, _LOSSLESS if is_gif else _SMALL)
        _ffmpeg("-xerror", "-i", movie, "-c", "copy", "-f", "null", "-")  # imageio does not say if ffmpeg failed
        (_to_gif(movie) if is_gif else movie).replace(path)
    return count


def _encode(path: Path, frames: Iterable[Frame], fps: float, options: tuple[str, ...]) -> int:
    import imageio_ffmpeg

    writer, count, height, width = None, 0, 0, 0
    try:
        for frame in frames:
            if writer is None:
                height, width = (size // 2 * 2 for size in frame.shape[:2])  # H.264 needs even sizes
                writer = imageio_ffmpeg.write_frames(
                    str(path), (width, height), fps=fps, codec="libx264", quality=None, macro_block_size=1,
                    output_params=list(options),
                )  # fmt: skip
                writer.send(None)
            writer.send(np.ascontiguousarray(_fitted(frame, height, width)))
            count += 1
    finally:
        if writer is not None:
            writer.close()
    return count


def _fitted(frame: Frame, height: int, width: int) -> Frame:
    """Crops an odd row and column; scales a frame of another size than the film's."""
    if [size // 2 * 2 for size in frame.shape[:2]] == [height, width]:
        return frame[:height, :width]
    return np.asarray(Image.fromarray(frame).resize((width, height)))


def _to_gif(movie: Path) -> Path:
    """Two passes, palette then film, since a single pass would hold every frame in memory."""
    palette, gif = movie.with_name("palette.png"), movie.with_name("film.gif")
    _ffmpeg("-i", movie, "-vf", "palettegen=stats_mode=full", palette)
    _ffmpeg("-i", movie, "-i", palette, "-lavfi", "paletteuse=dither=none:diff_mode=rectangle", gif)
    return gif


def _ffmpeg(*arguments: object) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ffmpeg failed: {' '.join(done.stderr.split())[:200]}")
