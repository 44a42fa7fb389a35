"""Films of frames whose size changes, and on a full disk."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from rl.run.film import write_film
from tests.full_disk import full_disk


def test_frames_of_another_size_are_scaled(tmp_path: Path) -> None:
    """Their bytes were read as frames of the first one's size: a film of other frames than those given."""
    film = tmp_path / "film.mp4"
    sizes = [(64, 80), (32, 40), (65, 81), (128, 200)]
    frames = [np.full((height, width, 3), 60 * k, np.uint8) for k, (height, width) in enumerate(sizes)]
    assert write_film(film, frames, 10) == 4
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    shown = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    np.testing.assert_allclose(shown.reshape(4, 64, 80).mean((1, 2)), [0, 60, 120, 180], atol=6)


@pytest.mark.parametrize("limit", [1000, 20_000])
def test_on_a_full_disk_an_earlier_film_stays(limit: int, tmp_path: Path) -> None:
    """ffmpeg's failure was not read, and what it had written replaced the film."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"earlier")
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), dtype=np.uint8)
    with full_disk(limit), pytest.raises(OSError, match="ffmpeg failed"):
        write_film(film, iter(noise), 30)
    assert film.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
