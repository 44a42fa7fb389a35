"""A progress bar for the training loop; silent where standard error is not a terminal."""

import time
from collections import deque

from tqdm import tqdm

from rl.loop import SELDOM, Status


class ProgressBar:
    """A hook: steps done, steps per second, and the latest return, entropy and policy shift."""

    interval = SELDOM

    def __init__(self, total_timesteps: int, done: int = 0) -> None:
        self._bar = tqdm(total=total_timesteps, initial=done, unit=" steps", unit_scale=True, disable=None, leave=False)
        self._returns: deque[float] = deque(maxlen=100)
        self._shown = 0.0

    def __call__(self, status: Status) -> None:
        if self._bar.disable:
            return
        self._returns.extend(episode.ret for episode in status.episodes)
        self._bar.update(status.step - self._bar.n)
        if time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            latest = {"return": f"{sum(self._returns) / len(self._returns):.1f}"} if self._returns else {}
            entropy, shift = (
                float(status.metrics[name].nanmean()) for name in ("train/entropy", "train/policy_shift_kl")
            )
            self._bar.set_postfix({**latest, "entropy": f"{entropy:.3f}", "KL shift": f"{shift:.1e}"}, refresh=False)

    def close(self) -> None:
        self._bar.close()
