"""`python -m rl.index`: writes results/README.md from the files beside it, and the aggregate over environments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from agents.settings.files import write_text
from agents.settings.values import ConfigError
from rl.experiments import plots
from rl.experiments.pages import image, paragraph, table
from rl.experiments.statistics import Scores, bootstrap, iqm, probability_of_improvement
from rl.experiments.suites.published import PUBLISHED
from rl.run.results import write_json
from rl.run.terminal import DONE, Parser, run

_OTHERS = (
    "zoo/zoo.md", "unseen/unseen.md", "imitation/cloning.md", "imitation/gail.md", "imitation/distillation.md",
    "imitation/mutual.md", "lockstep.md", "bench/bench.md", "information/accuracy.md", "information/speed.md",
    "gan/gan.md",
)  # fmt: skip

_OTHER_FOLDERS = {file.partition("/")[0] for file in _OTHERS}

_SHOWS = {
    "comparison": "Ours beside Stable-Baselines3's A2C at its hyper-parameters, one step and five; and our recipe.",
    "recipe": "Our recipe alone, for its own number of steps.",
    "ablation": "The recipe, and the recipe without one of its parts.",
    "engines": "The fused engine beside the torch engine, at Stable-Baselines3's hyper-parameters.",
    "learning-rate": "Constant and adaptive learning rates, from a good one and from one ten times too large.",
    "entropy": "No entropy bonus, a constant one, and one that holds the entropy above a target.",
}


class Compared(NamedTuple):
    """The JSON file of one command `rl.compare`."""

    env: str
    name: str
    content: Mapping[str, object]

    @property
    def runs(self) -> dict[str, list[dict[str, float]]]:
        """The summaries of the runs of each line."""
        lines = cast("list[dict[str, object]]", self.content["lines"])
        return {str(line["label"]): cast("list[dict[str, float]]", line["runs"]) for line in lines}

    @property
    def scores(self) -> dict[str, list[float]]:
        """Deterministic scores, one a seed, by line."""
        return {label: [summary["eval_mean"] for summary in seeds] for label, seeds in self.runs.items()}

    def normalized(self, label: str) -> Scores | None:
        """Scores of a line, 0 as random actions and 1 as rl-baselines3-zoo; None where that is not known."""
        published = PUBLISHED.get(self.env)
        return published and published.normalize(self.scores[label], cast("float | None", self.content["random"]))

    @property
    def budget(self) -> str:
        """Seeds and steps."""
        seeds = next(iter(self.runs.values()))
        return f"{len(seeds)} seeds, {seeds[0]['total_timesteps']:,} steps"


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.index", description="Write the index of results, and the aggregate over environments.")
    parser.add_results("the results")
    args = parser.parse_args(argv)
    files = [file for file in sorted(args.results.glob("*/*.json")) if file.parent.name not in _OTHER_FOLDERS]
    found = [compared for compared in map(_read, files) if compared is not None]
    comparisons = [each for each in found if each.name == "comparison"]
    if not comparisons:
        raise ConfigError(f"{args.results} holds no comparison yet: python -m rl.compare CartPole-v1 makes one")
    others = [f"[{file}]({file})" for file in _OTHERS if (args.results / file).is_file()]
    parts = [
        "# Results",
        f"Made by `{parser.command(argv)}` from the files of the commands below.",
        f"Beside them: {', '.join(others)}." if others else "",
        *_overview(comparisons),
        *_aggregate(comparisons, args.results),
    ]
    for each in sorted(found, key=lambda each: each.name != "comparison"):
        parts += _entry(each)
    write_text(args.results / "README.md", "\n\n".join(filter(None, parts)) + "\n")
    print(f"written to {args.results / 'README.md'}")
    return DONE


def _read(file: Path) -> Compared | None:
    """None if the file is of a search (`rl.sweep`), which compares nothing."""
    try:
        compared = Compared(file.parent.name, file.stem, json.loads(file.read_text(encoding="utf-8")))
        if "trials" in compared.content:
            return None
        assert compared.budget, compared.scores
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise ConfigError(f"{file} is not what rl.compare writes ({error!r}); make it again") from None
    return compared


def _overview(comparisons: Sequence[Compared]) -> list[str]:
    """Environments down, lines across: interquartile means of the deterministic evaluations."""
    labels = list(dict.fromkeys(label for each in comparisons for label in each.scores))
    rows = []
    for each in comparisons:
        cells = [str(bootstrap([each.scores[label]], iqm)) if label in each.scores else "" for label in labels]
        rows.append([f"[{each.env}]({each.env}/comparison.md)", each.budget, *cells])
    note = """Interquartile mean over seeds of the deterministic evaluation after training, with its 95 % stratified
        bootstrap interval. In the lines of 1 step and of 5 steps, ours and SB3 (Stable-Baselines3's A2C) have the same
        hyper-parameters, SB3's defaults; the recipe is ours."""
    return [paragraph(note), table(["environment", "budget of a line", *labels], rows, words=2)]


def _aggregate(comparisons: Sequence[Compared], results: Path) -> list[str]:
    """Over the environments whose scores can be normalized, for the lines that all of them have."""
    known = [each for each in comparisons if each.normalized(next(iter(each.scores))) is not None]
    labels = [label for label in known[0].scores if all(label in each.scores for each in known)] if known else []
    if len(known) < 2 or not labels:
        return []
    tasks = {label: [cast(Scores, each.normalized(label)) for each in known] for label in labels}
    statistics = {label: bootstrap(tasks[label], iqm) for label in labels}
    theirs = [label for label in labels if label.startswith("SB3")]
    chances = {
        label: {other: probability_of_improvement(tasks[label], tasks[other]) for other in theirs if other != label}
        for label in labels
    }
    seeds, _, _ = known[0].budget.partition(",")
    plots.aggregate(tasks, results / "aggregate", f"{len(known)} environments, {seeds}")
    numbers = {"environments": [each.env for each in known], "iqm": statistics, "better": chances}
    write_json(results / "aggregate.json", numbers)
    rows = [
        [label, f"{statistics[label]:.2f}", *(f"{chances[label][x]:.2f}" if x != label else "" for x in theirs)]
        for label in labels
    ]
    note = f"""Over {", ".join(each.env for each in known)}: scores normalized so that 0 is uniformly random actions
        and 1 is what rl-baselines3-zoo reports for SB3's A2C with tuned hyper-parameters (one best run each, longer
        training); and the probability that a run is better than one of SB3's on the same environment."""
    return [
        "## All environments together",
        paragraph(note),
        table(["line", "normalized IQM", *(f"better than {other}" for other in theirs)], rows),
        image("performance profiles", "aggregate.png"),
    ]


def _entry(compared: Compared) -> list[str]:
    env_id, name = compared.env, compared.name
    statistics = {label: bootstrap([scores], iqm) for label, scores in compared.scores.items()}
    best = max(x.value for x in statistics.values())
    highest = [label for label, x in statistics.items() if x.value == best]
    behind = []
    for label, own in statistics.items():
        other = statistics.get(label.replace("ours", "SB3", 1)) if label.startswith("ours") else None
        if other and own.value < other.value:
            behind.append(f"{label} (intervals {'overlap' if own.overlaps(other) else 'do not overlap'})")
    machine = compared.content.get("machine", "a machine of two cores, not recorded further")
    text = f"""{_SHOWS.get(name, "Settings beside each other.")} {compared.budget} a line, on {machine}; [table
        with intervals of every score]({env_id}/{name}.md). Highest: {"; ".join(highest)}."""
    text += f" Behind Stable-Baselines3: {'; '.join(behind)}." if behind else ""
    return [
        f"## {env_id}: {name}",
        paragraph(text),
        table(["line", "final return, interquartile mean"], [[label, str(x)] for label, x in statistics.items()]),
        f"`{compared.content['command']}`",
        image(f"{env_id}, {name}", f"{env_id}/{name}.png"),
    ]


if __name__ == "__main__":
    run(main)
