"""Films of frames whose size changes."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from rl.run.film import write_film


def test_frames_of_another_size_are_scaled(tmp_path: Path) -> None:
    """Their bytes were read as frames of the first one's size: a film of other frames than those given."""
    film = tmp_path / "film.mp4"
    sizes = [(64, 80), (32, 40), (65, 81), (128, 200)]
    frames = [np.full((height, width, 3), 60 * k, np.uint8) for k, (height, width) in enumerate(sizes)]
    assert write_film(film, frames, 10) == 4
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    shown = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    np.testing.assert_allclose(shown.reshape(4, 64, 80).mean((1, 2)), [0, 60, 120, 180], atol=6)
