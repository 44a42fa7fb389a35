"""`python -m rl.index`: results/README.md from the files beside it, and the aggregate over environments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from agents.settings.files import write_text
from agents.settings.values import ConfigError
from rl.experiments import plots as figures
from rl.experiments.statistics import Interval, Scores, bootstrap, iqm, probability_of_improvement
from rl.experiments.suites.published import PUBLISHED
from rl.experiments.tables import paragraph, row, rule
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
    "recipe": "Our recipe alone, for as many steps as it is made for.",
    "ablation": "The recipe, and the recipe without one of its parts.",
    "engines": "The fused engine beside the torch engine, at Stable-Baselines3's hyper-parameters.",
    "learning-rate": "Constant and adaptive learning rates, from a good one and from one ten times too large.",
    "entropy": "No entropy bonus, a constant one, and one that holds the entropy above a target.",
}


class Page(NamedTuple):
    """What one command of `rl.compare` left."""

    env: str
    name: str
    content: Mapping[str, object]

    @property
    def runs(self) -> dict[str, list[dict[str, float]]]:
        """The summaries of the seeds of each line."""
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
    pages = [page for page in map(_read, files) if page is not None]
    compared = [page for page in pages if page.name == "comparison"]
    if not compared:
        raise ConfigError(f"{args.results} holds no comparison yet: python -m rl.compare CartPole-v1 makes one")
    text = ["# Results", "", f"Made by `{parser.command(argv)}` from the files of the commands below.", ""]
    others = [file for file in _OTHERS if (args.results / file).is_file()]
    text += [f"Beside them: {', '.join(f'[{file}]({file})' for file in others)}.", ""] if others else []
    text += _overview(compared)
    text += _aggregate(compared, args.results)
    for page in sorted(pages, key=lambda page: page.name != "comparison"):
        text += _entry(page)
    write_text(args.results / "README.md", "\n".join(text).rstrip() + "\n")
    print(f"written to {args.results / 'README.md'}")
    return DONE


def _read(file: Path) -> Page | None:
    """None if it is of a search (`rl.sweep`), which compares nothing."""
    try:
        page = Page(file.parent.name, file.stem, json.loads(file.read_text(encoding="utf-8")))
        if "trials" in page.content:
            return None
        assert page.budget, page.scores
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise ConfigError(f"{file} is not what rl.compare writes ({error!r}); make it again") from None
    return page


def _overview(compared: Sequence[Page]) -> list[str]:
    """Environments down, lines across: interquartile means of the deterministic evaluations."""
    labels = list(dict.fromkeys(label for page in compared for label in page.scores))
    rows = [row(["environment", "budget of a line", *labels]), rule(2, len(labels))]
    for page in compared:
        cells = [str(bootstrap([page.scores[label]], iqm)) if label in page.scores else "" for label in labels]
        rows.append(row([f"[{page.env}]({page.env}/comparison.md)", page.budget, *cells]))
    note = """Interquartile mean over seeds of the deterministic evaluation after training, with its 95 % stratified
        bootstrap interval. In the lines of 1 step and of 5 steps, ours and SB3 (Stable-Baselines3's A2C) have the same
        hyper-parameters, SB3's defaults; the recipe is ours."""
    return [paragraph(note), "", *rows, ""]


def _aggregate(compared: Sequence[Page], results: Path) -> list[str]:
    """Over the environments whose scores can be normalized, for the lines that all of them have."""
    compared = [page for page in compared if page.normalized(next(iter(page.scores))) is not None]
    labels = (
        [label for label in compared[0].scores if all(label in page.scores for page in compared)] if compared else []
    )
    if len(compared) < 2 or not labels:
        return []
    tasks = {label: [cast(Scores, page.normalized(label)) for page in compared] for label in labels}
    statistics = {label: bootstrap(tasks[label], iqm) for label in labels}
    against = [label for label in labels if label.startswith("SB3")]
    chances = {
        label: {other: probability_of_improvement(tasks[label], tasks[other]) for other in against if other != label}
        for label in labels
    }
    figures.aggregate(
        tasks, results / "aggregate", f"{len(compared)} environments, {compared[0].budget.partition(',')[0]}"
    )
    write_json(
        results / "aggregate.json",
        {"environments": [page.env for page in compared], "iqm": statistics, "better": chances},
    )
    rows = [row(["line", "normalized IQM", *(f"better than {other}" for other in against)]), rule(1, 1 + len(against))]
    for label in labels:
        cells = [_short(chances[label][other]) if other != label else "" for other in against]
        rows.append(row([label, _short(statistics[label]), *cells]))
    note = f"""Over {", ".join(page.env for page in compared)}: scores normalized so that 0 is uniformly random actions
        and 1 is what rl-baselines3-zoo reports for SB3's A2C with tuned hyper-parameters (one best run each, longer
        training); and the probability that a run is better than one of SB3's on the same environment."""
    return [
        "## All environments together",
        "",
        paragraph(note),
        "",
        *rows,
        "",
        "![performance profiles](aggregate.png)",
        "",
    ]


def _short(x: Interval) -> str:
    return f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]"


def _entry(page: Page) -> list[str]:
    statistics = {label: bootstrap([scores], iqm) for label, scores in page.scores.items()}
    best = max(x.value for x in statistics.values())
    highest = [label for label, x in statistics.items() if x.value == best]
    behind = []
    for label, own in statistics.items():
        other = statistics.get(label.replace("ours", "SB3", 1)) if label.startswith("ours") else None
        if other and own.value < other.value:
            behind.append(f"{label} (intervals {'overlap' if other.low <= own.high else 'do not overlap'})")
    machine = page.content.get("machine", "a machine of two cores, not recorded further")
    text = f"""{_SHOWS.get(page.name, "Settings beside each other.")} {page.budget} a line, on {machine}; [table
        with intervals of every score]({page.env}/{page.name}.md). Highest: {"; ".join(highest)}."""
    text += f" Behind Stable-Baselines3: {'; '.join(behind)}." if behind else ""
    return [
        f"## {page.env}: {page.name}",
        "",
        paragraph(text),
        "",
        row(["line", "final return, interquartile mean"]),
        rule(1, 1),
        *(row([label, str(x)]) for label, x in statistics.items()),
        "",
        f"`{page.content['command']}`",
        "",
        f"![{page.env}, {page.name}]({page.env}/{page.name}.png)",
        "",
    ]


if __name__ == "__main__":
    run(main)
