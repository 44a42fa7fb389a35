"""Evaluations during training, and conditions that end a run before its last step, from the run's settings."""

from collections.abc import Mapping

from tqdm import tqdm

from agents.hooks import Evaluated, Evaluations, Hook, MaxSeconds, Patience, PauseAt, Stop, StopAt, Training
from agents.settings.run import RunSettings
from agents.settings.values import ConfigError
from envs import saved

STOPS = ("stop_at", "eval_patience", "pause_at", "max_seconds")  # settings that end training


class Goals:
    """The hooks that evaluate and stop a run. `ended`: for a resumed run, the stop that still applies."""

    def __init__(self, settings: RunSettings, reward_threshold: float | None) -> None:
        """Raises ConfigError if stop_at is "threshold" and the environment has no reward threshold."""
        self._settings, self.ended = settings, None
        self.evaluations, self._clock = None, None
        self._pause = [] if settings.pause_at is None else [PauseAt(settings.pause_at)]
        if settings.eval_interval:
            self.evaluations = Evaluations(
                settings.eval_interval, settings.eval_interval_episodes, max_steps=settings.eval_max_steps
            )
        if settings.max_seconds is not None:
            self._clock = MaxSeconds(settings.max_seconds)
        self._stops = list[Hook]()
        if settings.stop_at is not None:
            goal = reward_threshold if settings.stop_at == "threshold" else settings.stop_at
            if goal is None:
                raise ConfigError("stop_at=threshold: the environment registers no reward threshold; name a number")
            self._stops.append(StopAt(goal))
        if settings.eval_patience is not None:
            self._stops.append(Patience(settings.eval_patience))

    ended: Stop | None
    evaluations: Evaluations | None
    _clock: MaxSeconds | None

    @property
    def hooks(self) -> list[Hook]:
        """Placed after the recorder and before the checkpoints, which then contain evaluations and stops."""
        found = [_Announcements(), self.evaluations, *self._stops] if self.evaluations else []
        return [hook for hook in (*found, *self._pause, self._clock) if hook is not None]

    def summary(self, stopped: Stop | None) -> dict[str, object]:
        """The part of summary.json that comes from these hooks."""
        by = self.ended or stopped
        summary: dict[str, object] = {"stopped_by": None if by is None else by.by}
        if self.evaluations is not None:
            summary |= {"best_eval_mean": self.evaluations.best, "best_eval_step": self.evaluations.best_step}
        return summary

    def extra(self, stopped: Stop | None) -> dict[str, object]:
        """Their state for a checkpoint; empty if there are no hooks."""
        if not self.hooks:
            return {}
        by = self.ended or stopped
        return {
            "goals": {
                "evaluations": None if self.evaluations is None else self.evaluations.state_dict(),
                "spent": None if self._clock is None else self._clock.spent,
                "stopped": [by.by, by.why, getattr(self._settings, by.by)] if by and by.by in STOPS else None,
            }
        }

    def load_extra(self, extra: Mapping[str, object]) -> None:
        """Restores the state from a checkpoint. Raises Misfit if it does not match the settings.

        A run that was stopped stays stopped unless the setting that stopped it has changed.
        """
        if "goals" not in extra:
            return
        state = saved.mapping(extra["goals"], "goals", ("evaluations", "spent", "stopped"))
        if self.evaluations is not None:
            self.evaluations.load_state_dict(saved.mapping(state["evaluations"], "evaluations"))
        if self._clock is not None and state["spent"] is not None:
            self._clock.spent = saved.number(state["spent"], "spent", 0)
        if state["stopped"] is not None:
            by, why, value = saved.sequence(state["stopped"], "stopped", 3)
            if by not in STOPS:
                raise saved.Misfit(f"stopped is by {saved.shown(by)}, which is no setting that ends training")
            self.ended = Stop(by, saved.text(why, "stopped")) if getattr(self._settings, by) == value else None


class _Announcements(Hook):
    """Prints a line for each evaluation."""

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        first, second = evaluated.deterministic, evaluated.stochastic
        numbers = f"{first.mean:.2f} ± {first.std:.2f}, stochastic {second.mean:.2f} ± {second.std:.2f}"
        tqdm.write(f"{f'step {evaluated.step:,}':<18}  {numbers}{', the best so far' if evaluated.best else ''}")
