"""Which recipe was evaluated on which seeds. A recipe that changes after its scores were seen needs new seeds."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agents.writing import write_text
from rl.experiments.pages import counted, reading, spelled

LOOKS = "looks.json"  # in the folder of a suite's results


class Look(NamedTuple):
    """A recipe whose scores have been seen."""

    env: str
    recipe: dict[str, object]  # the settings that differ from the defaults
    seeds: list[int]


def read_looks(file: Path) -> list[Look]:
    """The looks in chronological order; empty if there is no file."""
    with reading(file):
        return [Look(**look) for look in json.loads(file.read_text(encoding="utf-8"))] if file.is_file() else []


def write_looks(file: Path, looks: Iterable[Look]) -> None:
    """Writes one line per look."""
    lines = [json.dumps(look._asdict()) for look in looks]
    write_text(file, "[\n" + ",\n".join(lines) + "\n]\n")


def with_look(looks: Sequence[Look], look: Look) -> list[Look]:
    """Adds a look; for a recipe already in the record, adds its seeds to that look."""
    known = [i for i, each in enumerate(looks) if (each.env, each.recipe) == (look.env, look.recipe)]
    if not known:
        return [*looks, look]
    (i,) = known
    seeds = sorted({*looks[i].seeds, *look.seeds})
    return [*looks[:i], looks[i]._replace(seeds=seeds), *looks[i + 1 :]]


def looks_at(looks: Iterable[Look], env_id: str, seeds: Iterable[int]) -> list[Look]:
    """Looks at this environment that share a seed with `seeds`."""
    return [look for look in looks if look.env == env_id and not set(seeds).isdisjoint(look.seeds)]


def described(looks: Sequence[Look], seeds: Sequence[int], envs: Iterable[str]) -> str:
    """How many looks there were at these seeds in these environments, and which seeds were seen before."""
    counts = {env: len(looks_at(looks, env, seeds)) for env in envs}
    used = [f"{env} ({count} recipes)" for env, count in counts.items() if count > 1]
    text = f"Evaluations on test seeds: on seeds {spelled(seeds)}, one recipe in {sum(n == 1 for n in counts.values())}"
    text += f" of {counted(len(counts), 'environment')}."
    if used:
        text += f" More than one recipe was evaluated in {', '.join(used)}: these seeds are used up there."
    here = [look for env in counts for look in looks_at(looks, env, seeds)]
    before = [look for look in looks if look not in here]
    if before:
        envs_before = list(dict.fromkeys(look.env for look in before))
        recipes = {env: [look.recipe for look in looks if look.env == env] for env in envs_before}
        changed = [env for env, tried in recipes.items() if any(recipe != tried[0] for recipe in tried)]
        text += f" Other evaluations, on seeds {spelled(sorted({seed for look in before for seed in look.seeds}))}:"
        text += f" {counted(len(before), 'recipe')} in {counted(len(envs_before), 'environment')}."
        text += f" After them, recipes changed: {', '.join(changed)}." if changed else ""
    return text
