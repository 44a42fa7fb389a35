"""`python -m rl.index`: writes results/README.md and the aggregate over environments, from the files in results/."""

from collections.abc import Sequence
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import cast

from agents.settings.values import ConfigError
from agents.writing import write_text
from rl.experiments import equivalence, equivalence_page, plots
from rl.experiments.compared import Compared, read_compared
from rl.experiments.comparison_page import highest
from rl.experiments.equivalence import Design
from rl.experiments.pages import counted, image, link, paragraph, table
from rl.experiments.questions import question
from rl.experiments.statistics import (
    METHOD,
    Scores,
    bootstrap,
    iqm,
    overlapping,
    probability_of_improvement,
)
from rl.experiments.suites.looks import LOOKS
from rl.experiments.suites.published import PUBLISHED
from rl.run.results import write_json
from rl.run.terminal import DONE, Parser, run

_REACHES = "score at least what Stable-Baselines3's {} scores with the tuned settings of rl-baselines3-zoo?"

_OTHERS = {
    "zoo/zoo.md": f"Does every recipe for A2C {_REACHES.format('A2C')}",
    "zoo-ppo/zoo-ppo.md": f"Does our PPO {_REACHES.format('PPO')}",
    "zoo-stream/zoo-stream.md": f"Does streaming actor-critic {_REACHES.format('A2C')}",
    "unseen/unseen.md": "Do the defaults beat random actions in environments that have no recipe?",
    "foreign/foreign.md": "Which environments of other packages can be trained at all?",
    "imitation/cloning.md": "Does behavior cloning from ten episodes reach 95 % of the expert's return?",
    "imitation/gail.md": "Does GAIL from ten episodes reach it, and do simpler rewards suffice?",
    "imitation/distillation.md": "Does a student with a tenth of the expert's parameters reach it?",
    "imitation/mutual.md": "Do two agents that imitate each other learn better than two that do not?",
    "reliability.md": "What do thousands of attacks on runs, files, settings and commands break?",
    "lockstep.md": "Does our A2C compute the same numbers as Stable-Baselines3's, from the same inputs?",
    "from-sb3.md": "Do scripts that were ported from Stable-Baselines3 score the same?",
    "bench/bench.md": "How fast does A2C train, beside Stable-Baselines3, Gymnasium and rejax?",
    "bench/ppo.md": "How fast does PPO train?",
    "bench/streaming.md": "How fast does streaming actor-critic train?",
    "bench/cores.md": "What is gained or lost beyond one thread: threads, ranks, processes, Ray?",
    "bench/devices.md": "How fast is training on a GPU, from images and with wide layers?",
    "bench/watching.md": "How much time do evaluations, checkpoints and logs take?",
    "information/accuracy.md": "How accurate are the entropies and divergences, beside torch and SciPy?",
    "information/speed.md": "How fast are they, beside torch?",
    "gan/gan.md": "What can go wrong in a GAN, shown where the optimal discriminator is known?",
    "statistics/coverage.md": "How often do the 95 % intervals of these pages contain the truth?",
    "collapse/collapse.md": "Why does A2C with single-step updates fail on CartPole-v1?",
}  # pages that README.md only links, and the question that each answers

_OTHER_FOLDERS = {file.partition("/")[0] for file in _OTHERS}


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.index", description="Write the index of results, and the aggregate over environments.")
    parser.add_results("the results")
    args, command = parser.parse_args(argv), parser.command(argv)
    files = _files(args.results)
    found = [compared for file in files if (compared := read_compared(file)) is not None]
    comparisons = [each for each in found if each.name == "comparison"]
    if not comparisons:
        raise ConfigError(f"{args.results} holds no comparison yet: python -m rl.compare CartPole-v1 makes one")
    others = [[question, f"[{file}]({file})"] for file, question in _OTHERS.items() if (args.results / file).is_file()]
    parts = [
        "# Results",
        f"Made by `{command}` from the files beside it. Every page names its command, its seeds and its machine.",
        table(["question", "page"], others, words=2) if others else "",
        *_overview(comparisons),
        *chain.from_iterable(_equivalence(design, found, command, args.results) for design in equivalence.DESIGNS),
        *_aggregate(comparisons, args.results),
    ]
    parts += _tables(found)
    parts += _searches([file for file in files if read_compared(file) is None])
    write_text(args.results / "README.md", "\n\n".join(filter(None, parts)) + "\n")
    print(f"written to {args.results / 'README.md'}")
    return DONE


def _searches(files: Sequence[Path]) -> list[str]:
    """The pages of rl.sweep."""
    pages = [f"{file.parent.name}/{file.stem}" for file in files if file.with_suffix(".md").is_file()]
    return ["## Searches of settings", "\n".join(f"- {link(page, f'{page}.md')}" for page in pages)] if pages else []


def _files(results: Path) -> list[Path]:
    """What rl.compare and rl.sweep wrote of one environment; a suite, of whichever agent, keeps its looks."""
    files = [file for file in sorted(results.glob("*/*.json")) if file.parent.name not in _OTHER_FOLDERS]
    return [file for file in files if not (file.parent / LOOKS).exists()]


def _overview(comparisons: Sequence[Compared]) -> list[str]:
    """Interquartile means of the deterministic evaluations; one row per line, one column per environment."""
    labels = list(dict.fromkeys(label for each in comparisons for label in each.runs))
    rows = []
    for label in labels:
        scores = [each.scores().get(label) for each in comparisons]
        rows.append([label, *(str(bootstrap([of], iqm)) if of else "" for of in scores)])
    budgets = "; ".join(f"{each.env}: {each.budget}" for each in comparisons)
    note = f"""The interquartile mean over seeds of the deterministic evaluation after training, with its 95 %
        {METHOD} interval. In the lines of 1 step and of 5 steps, ours and SB3 (Stable-Baselines3's A2C) have the same
        hyper-parameters: SB3's defaults, but for the steps per update. The recipe has its own settings and may train
        for longer, so its row does not compare the two implementations. What each line trains: {budgets}."""
    heads = ["line", *(link(each.env, f"{each.env}/comparison.md") for each in comparisons)]
    return [f"## A2C in {counted(len(comparisons), 'environment')}", paragraph(note), table(heads, rows)]


def _equivalence(design: Design, found: Sequence[Compared], command: str, results: Path) -> list[str]:
    """The section on the equivalence test. Writes its page, numbers and figure if all the required runs are there."""
    test, file = equivalence.judge(design, found), design.file
    if test is None:
        wanted = f"{len(design.seeds)} seeds in {len(design.environments)} environments"
        print(f"note: {file}.md is left as it is: its {wanted} are not all there")
        return []
    equivalence_page.page(test, command).write(results / file)
    equivalence_page.draw(test, results / file)
    text = f"""{equivalence_page.conclusion(test)} The rules, fixed before the runs, and every pair:
        [{file}.md]({file}.md)."""
    return [
        f"## Does our {design.algorithm} score like Stable-Baselines3's?",
        paragraph(text),
        image("differences of normalized scores and probabilities of improvement", f"{file}.png"),
    ]


def _aggregate(comparisons: Sequence[Compared], results: Path) -> list[str]:
    """The aggregate over the environments whose scores can be normalized, for the lines that all of them have."""
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
    steps = [PUBLISHED[each.env].timesteps for each in known]
    note = f"""Over {", ".join(each.env for each in known)}. Scores are normalized so that 0 is the score of uniformly
        random actions and 1 is what rl-baselines3-zoo publishes for SB3's A2C with tuned hyper-parameters (one model
        each, trained for {min(steps):,} to {max(steps):,} steps); the interquartile mean (IQM) is over the runs of all
        environments. "Better than": the probability that a run scores higher than a run of that line in the same
        environment, ties counted half. Brackets are 95 % intervals. The recipe may train for longer than the other
        lines, see above."""
    return [
        "## All environments together",
        paragraph(note),
        table(["line", "normalized IQM", *(f"better than {other}" for other in theirs)], rows),
        image("performance profiles", "aggregate.png"),
    ]


def _tables(found: Sequence[Compared]) -> list[str]:
    """For each name of comparisons, what they ask, and a table with a row for each environment."""
    parts = []
    ordered = sorted(found, key=lambda each: (each.name != "comparison", each.name))
    for name, group in groupby(ordered, attrgetter("name")):
        each_of = list(group)
        text = " ".join(dict.fromkeys(question(name, each.runs) for each in each_of))
        heads = ["page", "seeds", "highest interquartile mean", "intervals that overlap it", "below the line of SB3"]
        rows = [_row(each) for each in each_of]
        kept = [column for column in range(len(heads)) if any(row[column] for row in rows)]
        parts += [f"## {_title(name)}", paragraph(text) if text else ""]
        parts.append(table([heads[i] for i in kept], [[row[i] for i in kept] for row in rows], words=len(kept)))
    return parts


def _title(name: str) -> str:
    """In words; a short name is an abbreviation."""
    return name.upper() if len(name) <= 3 else name.replace("-", " ").capitalize()


def _row(compared: Compared) -> list[str]:
    scores = compared.scores()
    iqms = {label: bootstrap([each], iqm) for label, each in scores.items()}
    best, near = highest(iqms)
    behind = []
    for label, own in iqms.items():
        other = iqms.get(label.replace("ours", "SB3", 1)) if label.startswith("ours") else None
        if other and own.value < other.value:
            words = overlapping(own, other)
            behind.append(f"{label} (intervals {words})" if words else label)
    reached = f"{'; '.join(best)}: {iqms[best[0]]}"
    page = link(compared.env, f"{compared.env}/{compared.name}.md")
    return [page, str(len(next(iter(scores.values())))), reached, "; ".join(near), "; ".join(behind)]


if __name__ == "__main__":
    run(main)
