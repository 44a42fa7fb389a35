"""The lines of `python -m rl.compare`: presets, and lines given with their own settings."""

from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from agents import A2C, registry
from agents.settings.by_agent import SETTINGS
from agents.settings.recipes import recipe_file
from agents.settings.run import RunSettings, check_once
from agents.settings.schema import setting_types
from agents.settings.values import ConfigError
from envs import evaluation_backend, make
from rl.experiments.parallel import BASELINES, Line, budget, prepare
from rl.run.parts import build


class Preset(NamedTuple):
    """A line that can be chosen by name alone."""

    label: str
    agent: str
    n_steps: int | None  # with SB3's defaults; None: the environment's recipe


PRESETS = {
    "ours-1": Preset("ours, 1 step", "a2c", 1),
    "sb3-1": Preset("SB3, 1 step", "sb3", 1),
    "ours-5": Preset("ours, 5 steps", "a2c", 5),
    "sb3-5": Preset("SB3, 5 steps", "sb3", 5),
    "recipe": Preset("ours, recipe", "a2c", None),
}


def chosen_presets(args: Namespace) -> list[str]:
    """The names given with --agents; by default, all presets that exist for this environment."""
    if args.agents is not None or args.line:
        return list(dict.fromkeys(args.agents or []))
    if recipe_file(args.env):
        return list(PRESETS)
    print(f"note: no recipe ships for {args.env}; the line {PRESETS['recipe'].label!r} is left out")
    return [name for name in PRESETS if name != "recipe"]


def chosen_lines(args: Namespace, presets: list[str]) -> list[Line]:
    """Raises ConfigError if two lines have the same label or the same settings."""
    check_once(args.set, "--set")
    lines = [_preset_line(args, name) for name in presets] + [_own_line(args, *line) for line in args.line]
    for i, line in enumerate(lines):
        if any(line.label == other.label for other in lines[:i]):
            raise ConfigError(f"every line needs its own label: two are {line.label!r}")
        if any((line.agent, line.settings) == (other.agent, other.settings) for other in lines[:i]):
            raise ConfigError(f"every line needs its own settings: {line.label!r} has those of another")
    return lines


def _preset_line(args: Namespace, name: str) -> Line:
    """The recipe trains for its own number of steps; other presets for `--total-timesteps` or else the recipe's."""
    preset, recipe = PRESETS[name], recipe_file(args.env)
    if preset.n_steps is not None:
        assignments = [
            f"total_timesteps={budget(args.env, (A2C, RunSettings))}",
            *args.set,
            f"n_steps={preset.n_steps}",
        ]
        file = recipe_file("sb3-defaults")
        return _build(args.env, preset.label, preset.agent, file, assignments, args.total_timesteps)
    if recipe is None:
        raise ConfigError(f"no recipe ships for {args.env!r}: leave {name!r} out of --agents")
    return _build(args.env, preset.label, preset.agent, recipe, args.set, None)


def _own_line(args: Namespace, label: str, *items: str) -> Line:
    """items: settings on top of the recipe, or of a YAML file used instead, and agent=NAME."""
    files = [item for item in items if item.endswith((".yaml", ".yml"))]
    if len(files) > 1:
        raise ConfigError(f"--line {label}: one YAML file at most, got {', '.join(files)}")
    check_once([item for item in items if item not in files], f"--line {label}")
    agent = next((item.removeprefix("agent=") for item in items if item.startswith("agent=")), "a2c")
    if ":" not in agent and agent not in (known := (*registry.NAMES, *BASELINES)):
        raise ConfigError(f"--line {label}: agent is module:Class or one of {', '.join(known)}, got {agent!r}")
    file = Path(files[0]) if files else recipe_file(args.env, BASELINES.get(agent, agent))
    own = [item for item in items if item not in files and not item.startswith("agent=")]
    key = label.partition("=")[0]
    if (
        "=" in label
        and label not in own
        and key in ("agent", *setting_types(*registry.kinds(BASELINES.get(agent, agent))))
    ):
        raise ConfigError(f"--line begins with a label, but {label} is a setting: --line LABEL {label} …")
    return _build(args.env, label, agent, file, [*args.set, *own], args.total_timesteps)


def _build(
    env_id: str, label: str, agent: str, file: Path | None, assignments: list[str], total_timesteps: str | None
) -> Line:
    """Applies the assignments to the file's settings; a later assignment wins."""
    kinds = registry.kinds(BASELINES.get(agent, agent))
    return prepare(label, agent, env_id, (*kinds, RunSettings), file, assignments, total_timesteps)


def check_line(env_id: str, line: Line) -> float | None:
    """Builds the agent and the environment once, so that a mistake ends the command before any run starts.

    Returns the environment's reward threshold. For SB3's lines, raises ConfigError on settings that SB3 lacks.
    """
    if line.agent in BASELINES:
        from agents.sb3 import check_settings
        from rl.experiments.baseline import check_run_settings

        check_run_settings(line.settings)
        own = SETTINGS[BASELINES[line.agent]]
        known = setting_types(own).keys() - {"seed"}  # lines have no seed
        check_settings(own(env_id, **{key: line.settings[key] for key in known}))
    else:
        try:
            agent, _ = build(line.agent, env_id, line.settings)
        except ConfigError as error:
            raise ConfigError(f"{line.label}: {error}") from None
        agent.worlds.close()
    worlds = make(env_id, 1, variant=line.variant, backend=evaluation_backend(line.backend))
    worlds.close()
    return worlds.reward_threshold
