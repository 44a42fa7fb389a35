"""What a search found: its best trials as a table, all of them as numbers, the best one as a recipe."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import plain
from rl.experiments.search.space import Space
from rl.experiments.search.study import Tried
from rl.experiments.tables import changed, paragraph, row, rule

_SHOWN = 10  # trials of the table

_ENDS = ("finished", "stopped", "failed")


class Findings(NamedTuple):
    """A search that has ended, or has got so far."""

    env: str
    command: str
    machine: str
    seeds: Sequence[int]  # tuned with
    base: Mapping[str, object]  # settings of every trial
    space: Space
    usual: Mapping[str, object]  # the default of every setting
    trials: Sequence[Tried]
    importances: Mapping[str, float]  # by draw

    @property
    def best(self) -> list[Tried]:
        """Finished trials, the highest score first."""
        finished = [trial for trial in self.trials if trial.end == "finished"]
        return sorted(finished, key=lambda trial: -(trial.score or 0.0))

    def settings(self, trial: Tried) -> dict[str, object]:
        """All of them, plain."""
        return {key: plain(trial.settings.get(key, value)) for key, value in self.base.items()}


def ranking(of: Findings) -> str:
    """In Markdown: how the search went, its best trials, and which settings mattered."""
    counts = {end: sum(trial.end == end for trial in of.trials) for end in _ENDS}
    fixed = changed(of.base, of.usual, set(of.base) - set(of.space))
    explained = f"""
        {len(of.trials)} trials: {counts["finished"]} finished, {counts["stopped"]} stopped early, with a mean below the
        median of those before, {counts["failed"]} failed or had settings that exclude each other. A trial's score is
        the mean over tuning seeds {", ".join(map(str, of.seeds))} of the deterministic evaluation,
        {of.base["eval_episodes"]} episodes, after {of.base["total_timesteps"]:,} steps. The best of many scores is too
        high for what it found; other seeds say what a recipe is worth."""
    text = [
        f"# {of.env}: the {min(_SHOWN, len(of.best))} best of {len(of.trials)} trials", "",
        f"Made by `{of.command}`", "", f"on {of.machine}.", "", paragraph(explained), "",
        f"Settings of all trials that differ from the defaults: {fixed}.", "",
        row(["trial", "settings", "score", *(f"seed {seed}" for seed in of.seeds)]), rule(2, 1 + len(of.seeds)),
    ]  # fmt: skip
    for trial in of.best[:_SHOWN]:
        settings = changed(of.settings(trial), of.usual, of.space)
        text.append(row([str(trial.number), settings, *(f"{x:.5g}" for x in (trial.score or 0.0, *trial.scores))]))
    if of.importances:
        text += ["", "Share of the variance between scores that a setting explains (PED-ANOVA):", ""]
        text += [row(["setting", "importance"]), rule(1, 1)]
        text += [row([f"`{name}`", f"{share:.2f}"]) for name, share in of.importances.items()]
    failed = [trial for trial in of.trials if trial.end == "failed"]
    if failed:
        reasons = {trial.reason: trial.number for trial in reversed(failed)}  # the first trial of each
        text += ["", "Why trials failed, each reason once:", ""]
        text += [f"- trial {number}: {reason}" for reason, number in sorted(reasons.items(), key=lambda pair: pair[1])]
    return "\n".join(text) + "\n"


def numbers(of: Findings) -> dict[str, object]:
    """As JSON holds it."""
    trials = [trial._asdict() | {"score": trial.score} for trial in of.trials]
    return {
        "command": of.command, "machine": of.machine, "env": of.env, "seeds": list(of.seeds), "base": dict(of.base),
        "space": {key: str(form) for key, form in of.space.items()}, "trials": trials,
        "best": of.best[0].number, "importances": dict(of.importances),
    }  # fmt: skip


def recipe(of: Findings) -> dict[str, object]:
    """The settings of the best trial that differ from the defaults, but for those of its evaluation and records."""
    of_runs = setting_types(RunSettings)
    settings = {key: value for key, value in of.settings(of.best[0]).items() if key not in of_runs}
    different = {key: value for key, value in settings.items() if value != plain(of.usual[key])}
    return {"total_timesteps": of.base["total_timesteps"], **different}
