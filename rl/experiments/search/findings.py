"""Findings of a search: a page with the best trials and the numbers of all, and the best trial as a recipe."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import plain
from rl.experiments.pages import Page, changed, counted, image, in_common, paragraph, spelled, table
from rl.experiments.search.space import Space
from rl.experiments.search.stopping import Stopping
from rl.experiments.search.study import Tried

_SHOWN = 10  # rows of the table of trials
_ENDS = ("finished", "stopped", "failed")


class Findings(NamedTuple):
    """A finished search, or its current state."""

    env: str
    command: str
    machine: str
    stopping: Stopping  # includes the tuning seeds
    base: Mapping[str, object]  # settings shared by all trials
    space: Space
    defaults: Mapping[str, object]  # of every setting
    trials: Sequence[Tried]
    importances: Mapping[str, float]  # draw → importance

    @property
    def best(self) -> list[Tried]:
        """Finished trials, highest score first."""
        finished = [trial for trial in self.trials if trial.end == "finished"]
        return sorted(finished, key=lambda trial: -(trial.score or 0.0))

    def settings(self, trial: Tried) -> dict[str, object]:
        """All settings of a trial, as plain data."""
        return {key: plain(trial.settings.get(key, value)) for key, value in self.base.items()}


def page(found: Findings, name: str) -> Page:
    """How the search went, its best trials, and which settings mattered. name: the figure's."""
    counts = {end: sum(trial.end == end for trial in found.trials) for end in _ENDS}
    best, failed = found.best[0], f"{counts['failed']} failed (see below)" if counts["failed"] else "none failed"
    explained = f"""
        Which settings score highest? Of {counted(len(found.trials), "trial")}, {counts["finished"]} finished,
        {counts["stopped"]} stopped early ({found.stopping}), and {failed}. A trial trains
        {counted(len(found.stopping.seeds), "agent")}, from tuning seeds {spelled(found.stopping.seeds)}; its score is
        the mean return of their deterministic evaluations, {found.base["eval_episodes"]} episodes each, after
        {found.base["total_timesteps"]:,} steps. Trial {best.number} scored highest: {best.score or 0.0:.5g}. The best
        of many noisy scores overestimates its settings, so judge a recipe on other seeds."""
    trials = [
        [str(trial.number), changed(found.settings(trial), found.defaults, found.space)]
        + [f"{x:.5g}" for x in (trial.score or 0.0, *trial.scores)]
        for trial in found.best[:_SHOWN]
    ]
    parts = [
        paragraph(explained),
        image(f"scores of the trials{', and the importance of settings' if found.importances else ''}", f"{name}.png"),
        in_common("trials", found.base, found.defaults, set(found.base) - set(found.space)),
        table(["trial", "settings", "score", *(f"seed {seed}" for seed in found.stopping.seeds)], trials, words=2),
    ]
    if found.importances:
        shares = [[f"`{name}`", f"{share:.2f}"] for name, share in found.importances.items()]
        parts += [paragraph(_about_importance(found)), table(["setting", "importance"], shares)]
    first_failures = {trial.reason: trial.number for trial in reversed(found.trials) if trial.end == "failed"}
    if first_failures:
        reasons = sorted(first_failures.items(), key=lambda pair: pair[1])
        parts += ["Why trials failed, each reason once:"]
        parts += ["\n".join(f"- trial {number}: {reason}" for reason, number in reasons)]
    title = f"{found.env}: the {min(_SHOWN, len(found.best))} best of {len(found.trials)} trials"
    return Page(title, found.command, found.machine, parts, _numbers(found))


def _about_importance(found: Findings) -> str:
    halving = found.stopping.pruner == "halving"
    compared = [trial for trial in found.trials if trial.scores and (halving or trial.end == "finished")]
    scores = "scores after the first ninth of the steps" if halving else "scores of finished trials"
    drawn = """ Where a setting has several forms, such as a constant and a falling learning rate, its name alone is the
        choice of the form, and its name with a range is the number drawn from it."""
    forms = drawn if any(" " in name for name in found.importances) else ""
    return f"""How strongly each setting distinguishes the best tenth of the trials from all of them, by PED-ANOVA
        (Watanabe et al. 2023) of the {scores}: shares of the total. A tenth of {counted(len(compared), "trial")} is
        few, so the shares are rough.{forms}"""


def _numbers(found: Findings) -> dict[str, object]:
    return {
        "env": found.env, "seeds": list(found.stopping.seeds), "base": dict(found.base),
        "space": {key: str(form) for key, form in found.space.items()},
        "trials": [trial._asdict() | {"score": trial.score} for trial in found.trials],
        "best": found.best[0].number, "importances": dict(found.importances),
    }  # fmt: skip


def recipe(found: Findings) -> dict[str, object]:
    """The best trial's settings that differ from the defaults, without those of evaluation and recording."""
    of_runs = setting_types(RunSettings)
    settings = {key: value for key, value in found.settings(found.best[0]).items() if key not in of_runs}
    different = {key: value for key, value in settings.items() if value != plain(found.defaults[key])}
    return {"total_timesteps": found.base["total_timesteps"], **different}
