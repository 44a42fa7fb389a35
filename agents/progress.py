"""A progress bar, in a terminal or a notebook."""

import time
from collections import deque

from tqdm.auto import tqdm

from agents.events import Status
from agents.training import ANY_INTERVAL, Hook, Training

_SHOWN = (("train/entropy", "entropy", ".3f"), ("train/policy_shift_kl", "KL shift", ".1e"))  # if measured


class ProgressBar(Hook):
    """Shows steps done, steps per second, and the latest return, entropy and policy shift."""

    interval = ANY_INTERVAL

    def __init__(self, total_timesteps: int, done: int = 0, hidden: bool | None = None) -> None:
        """hidden: None hides it unless standard error is a terminal."""
        self._bar = tqdm(
            total=total_timesteps, initial=done, unit=" steps", unit_scale=True, disable=hidden, leave=False
        )
        self._returns: deque[float] = deque(maxlen=100)
        self._shown = 0.0

    def on_update(self, training: Training, status: Status) -> None:
        if self._bar.disable:
            return
        self._returns.extend(episode.ret for episode in status.episodes)
        self._bar.update(status.step - self._bar.n)
        if time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            latest = {"return": f"{sum(self._returns) / len(self._returns):.1f}"} if self._returns else {}
            for name, title, form in _SHOWN:
                if name in status.series:
                    latest[title] = format(float(status.series[name].nanmean()), form)
            self._bar.set_postfix(latest, refresh=False)

    def close(self) -> None:
        self._bar.close()
