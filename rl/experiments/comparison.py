from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from agents import A2C, registry
from agents.episodes import evaluation_backend
from agents.settings.a2c import A2CSettings
from agents.settings.files import write_text
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError
from envs import make
from rl.experiments import plots as figures
from rl.experiments.parallel import BASELINE, Line, prepare
from rl.experiments.tables import Comparison, as_plain, comparison_table, line_statistics, sweep_table
from rl.run.results import write_json
from rl.run.run import build


class Preset(NamedTuple):
    """A line that needs no settings to be named."""

    label: str
    agent: str
    n_steps: int | None  # at the defaults, which are SB3's; None takes the environment's recipe


PRESETS = {
    "ours-1": Preset("ours, 1 step", "a2c", 1),
    "sb3-1": Preset("SB3, 1 step", "sb3", 1),
    "ours-5": Preset("ours, 5 steps", "a2c", 5),
    "sb3-5": Preset("SB3, 5 steps", "sb3", 5),
    "recipe": Preset("ours, recipe", "a2c", None),
}


def _write(of: Comparison, path: Path, sweep: bool) -> str:
    """Table, numbers and figure. Returns the table."""
    runs = {line.label: list(results) for line, results in zip(of.lines, of.results, strict=True)}
    content = [
        {
            "label": line.label,
            "agent": line.agent,
            "settings": line.settings,
            "statistics": as_plain(line_statistics(runs[line.label], of.threshold)),
            "runs": [run.summary for run in runs[line.label]],
        }
        for line in of.lines
    ]
    about = {"command": of.made, "machine": of.machine, "threshold": of.threshold, "random": of.random}
    write_json(path.with_suffix(".json"), about | {"lines": content})
    if sweep:
        figures.sweep(runs, path.with_suffix(".png"), of.title, of.threshold)
    else:
        references = {"uniformly random actions": of.random, "threshold": of.threshold}
        known = {name: score for name, score in references.items() if score is not None}
        figures.comparison(runs, path, of.title, known)
    table = sweep_table(of) if sweep else comparison_table(of)
    write_text(path.with_suffix(".md"), table)
    return table


def _presets(args: Namespace) -> list[str]:
    """The presets asked for; by default all that there are for this environment."""
    if args.agents is not None or args.line:
        return list(dict.fromkeys(args.agents or []))
    if recipe_file(args.env):
        return list(PRESETS)
    print(f"note: no recipe ships for {args.env}; the line {PRESETS['recipe'].label!r} is left out")
    return [name for name in PRESETS if name != "recipe"]


def _lines(args: Namespace, presets: list[str]) -> list[Line]:
    lines = [_preset(args, name) for name in presets] + [_line(args, *line) for line in args.line]
    values: tuple[tuple[str, list[object]], ...] = (
        ("a label", [line.label for line in lines]),
        ("settings", [(line.agent, line.settings) for line in lines]),
    )
    for what, each in values:
        if any(value in each[:i] for i, value in enumerate(each)):
            raise ConfigError(f"every line needs {what} of its own")
    return lines


def _preset(args: Namespace, name: str) -> Line:
    preset, own = PRESETS[name], recipe_file(args.env)
    if preset.n_steps is None and own is None:
        raise ConfigError(f"no recipe ships for {args.env!r}: leave {name!r} out of --agents")
    if preset.n_steps is None:
        return _build(args, preset.label, preset.agent, own, [])
    return _build(args, preset.label, preset.agent, recipe_file("sb3-defaults"), [f"n_steps={preset.n_steps}"])


def _line(args: Namespace, label: str, *own: str) -> Line:
    """A YAML file stands in place of the recipe."""
    files = [item for item in own if item.endswith((".yaml", ".yml"))]
    if len(files) > 1:
        raise ConfigError(f"--line {label}: one YAML file at most, got {', '.join(files)}")
    assignments = [item for item in own if item not in files]
    agents = [item.removeprefix("agent=") for item in assignments if item.startswith("agent=")] or ["a2c"]
    if agents[-1] not in (known := (*registry.NAMES, BASELINE)):
        raise ConfigError(f"--line {label}: agent is one of {', '.join(known)}, got {agents[-1]!r}")
    file = Path(files[0]) if files else recipe_file(args.env, "a2c" if agents[-1] == BASELINE else agents[-1])
    return _build(args, label, agents[-1], file, [item for item in assignments if not item.startswith("agent=")])


def _build(args: Namespace, label: str, agent: str, file: Path | None, own: list[str]) -> Line:
    """The file's settings, over them the line's own, and over them those of the command."""
    kinds = (A2C,) if agent == BASELINE else registry.kinds(agent)
    return prepare(label, agent, args.env, (*kinds, RunSettings), file, [*args.set, *own], args.total_timesteps)


def _check(env_id: str, line: Line) -> float | None:
    """Builds the agent and the environment once, and checks what SB3 cannot do, so that a mistake ends the command
    before any run starts. Returns the environment's reward threshold."""
    if line.agent == BASELINE:
        from agents.sb3 import check_settings

        known = setting_types(A2CSettings).keys() - {"seed"}  # which a line does not have
        check_settings(A2CSettings(env_id, **{key: line.settings[key] for key in known}))  # type: ignore[arg-type]
    else:
        try:
            agent, _ = build(line.agent, env_id, line.settings)
        except ConfigError as error:
            raise ConfigError(f"{line.label}: {error}") from None
        agent.worlds.close()
    worlds = make(env_id, 1, variant=line.variant, backend=evaluation_backend(line.backend))
    worlds.close()
    return worlds.reward_threshold
