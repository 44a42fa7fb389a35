"""`python -m rl.index`: writes results/README.md from the files beside it, and the aggregate over environments."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import cast

from agents.settings.values import ConfigError
from agents.writing import write_text
from rl.experiments import equivalence, equivalence_page, plots
from rl.experiments.compared import Compared, read_compared
from rl.experiments.equivalence import Design
from rl.experiments.pages import image, paragraph, table
from rl.experiments.statistics import METHOD, Scores, bootstrap, iqm, probability_of_improvement
from rl.run.results import write_json
from rl.run.terminal import DONE, Parser, run

_OTHERS = (
    "zoo/zoo.md", "zoo-ppo/zoo-ppo.md", "zoo-stream/zoo-stream.md", "unseen/unseen.md", "foreign/foreign.md",
    "imitation/cloning.md", "imitation/gail.md", "imitation/distillation.md", "imitation/mutual.md",
    "lockstep.md", "from-sb3.md", "bench/bench.md", "bench/ppo.md", "bench/streaming.md", "bench/cores.md",
    "bench/watching.md", "information/accuracy.md", "information/speed.md", "gan/gan.md", "statistics/coverage.md",
    "collapse/collapse.md",
)  # fmt: skip

_OTHER_FOLDERS = {file.partition("/")[0] for file in _OTHERS}

_SHOWS = {
    "comparison": "Ours beside Stable-Baselines3's A2C at its hyper-parameters, one step and five; and our recipe.",
    "recipe": "Our recipe alone, for its own number of steps.",
    "engines": "The fused engine beside the torch engine, at Stable-Baselines3's hyper-parameters.",
    "learning-rate": "Constant and adaptive learning rates, from a good one and from one ten times too large.",
    "entropy": "No entropy bonus, a constant one, and one that holds the entropy above a target.",
    "ppo": "Our PPO beside Stable-Baselines3's, at its defaults.",
    "trust-region": "PPO with its clip, and with four bounds on the KL divergence in place of it.",
    "streaming": "Streaming actor-critic, one environment and one step an update, beside A2C.",
    "streaming-parts": "Streaming actor-critic with one part changed or left out.",
}


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.index", description="Write the index of results, and the aggregate over environments.")
    parser.add_results("the results")
    args, command = parser.parse_args(argv), parser.command(argv)
    files = [file for file in sorted(args.results.glob("*/*.json")) if file.parent.name not in _OTHER_FOLDERS]
    found = [compared for compared in map(read_compared, files) if compared is not None]
    comparisons = [each for each in found if each.name == "comparison"]
    if not comparisons:
        raise ConfigError(f"{args.results} holds no comparison yet: python -m rl.compare CartPole-v1 makes one")
    others = [f"[{file}]({file})" for file in _OTHERS if (args.results / file).is_file()]
    parts = [
        "# Results",
        f"Made by `{command}` from the files of the commands below.",
        f"Beside them: {', '.join(others)}." if others else "",
        *_overview(comparisons),
        *chain.from_iterable(_equivalence(design, found, command, args.results) for design in equivalence.DESIGNS),
        *_aggregate(comparisons, args.results),
    ]
    for each in sorted(found, key=lambda each: each.name != "comparison"):
        parts += _entry(each)
    write_text(args.results / "README.md", "\n\n".join(filter(None, parts)) + "\n")
    print(f"written to {args.results / 'README.md'}")
    return DONE


def _overview(comparisons: Sequence[Compared]) -> list[str]:
    """Environments down, lines across: interquartile means of the deterministic evaluations."""
    labels = list(dict.fromkeys(label for each in comparisons for label in each.runs))
    rows = []
    for each in comparisons:
        cells = [str(bootstrap([each.scores()[label]], iqm)) if label in each.runs else "" for label in labels]
        rows.append([f"[{each.env}]({each.env}/comparison.md)", each.budget, *cells])
    note = f"""Interquartile mean over seeds of the deterministic evaluation after training, with its 95 %
        {METHOD} interval. In the lines of 1 step and of 5 steps, ours and SB3 (Stable-Baselines3's A2C) have the same
        hyper-parameters, SB3's defaults; the recipe is ours."""
    return [paragraph(note), table(["environment", "budget of a line", *labels], rows, words=2)]


def _equivalence(design: Design, found: Sequence[Compared], command: str, results: Path) -> list[str]:
    """Writes the test's page, numbers and figure if the runs that it demands are there. Returns its section."""
    test, file = equivalence.judge(design, found), design.file
    if test is None:
        wanted = f"{len(design.seeds)} seeds in {len(design.environments)} environments"
        print(f"note: {file}.md is left as it is: its {wanted} are not all there")
        return []
    equivalence_page.page(test, command).write(results / file)
    equivalence_page.draw(test, results / file)
    text = f"{equivalence_page.conclusion(test)} Rules, fixed before the runs, and all pairs: [{file}.md]({file}.md)."
    return [
        f"## The same as Stable-Baselines3's {design.algorithm}?",
        paragraph(text),
        image("differences of normalized scores and probabilities of improvement", f"{file}.png"),
    ]


def _aggregate(comparisons: Sequence[Compared], results: Path) -> list[str]:
    """Over the environments whose scores can be normalized, for the lines that all of them have."""
    known = [each for each in comparisons if each.normalized(next(iter(each.runs))) is not None]
    labels = [label for label in known[0].runs if all(label in each.runs for each in known)] if known else []
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
    statistics = {label: bootstrap([scores], iqm) for label, scores in compared.scores().items()}
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
