"""What a finished run writes: final evaluations, `summary.json` and the figure."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from agents.agent import Agent
from agents.evaluation import Evaluation, evaluate_both, summarize
from agents.settings.run import RunSettings
from rl.run.figure import learning_curve
from rl.run.recorder import Recorder
from rl.run.results import write_json
from rl.run.terminal import evaluation_bar


class FinalResults(NamedTuple):
    """Final evaluations and the path of the figure."""

    deterministic: Evaluation
    stochastic: Evaluation
    figure: Path


def write_summary(
    directory: Path, agent: Agent, name: str, engine: str, recorder: Recorder, settings: RunSettings, start: float,
    training: Mapping[str, object],
) -> FinalResults:  # fmt: skip
    """Evaluates the agent, writes `learning_curve.png`, then `summary.json`, which marks the run as finished.

    start: `time.perf_counter` at the start. training: further entries of the summary, about training.
    """
    loop, threshold = agent.loop, agent.loop.worlds.reward_threshold
    recorder.flush(loop.step, loop.iteration, loop.seconds)
    recorder.close()
    with evaluation_bar(2 * settings.eval_episodes) as watch:
        deterministic, stochastic = evaluate_both(
            agent, settings.eval_episodes, loop.seed, settings.eval_max_steps, watch
        )
    figure = learning_curve(directory, str(agent.env), name, loop.seed, threshold)
    (directory / "error.txt").unlink(missing_ok=True)  # from an earlier attempt
    summary: dict[str, object] = {
        "env": agent.env,
        "agent": name,
        "engine": engine,
        "seed": loop.seed,
        "total_timesteps": loop.step,
        "solved_at": recorder.solved_at,
        "resume": loop.worlds.resume,
        "inexact_resumes": loop.inexact_resumes,
        "environments_replaced": loop.worlds.replaced,
        **training,
        "train_seconds": round(loop.seconds, 3),
        "steps_per_second": round(loop.step / max(loop.seconds, 1e-9), 1),
        **summarize(deterministic, stochastic),
        "wall_seconds": round(time.perf_counter() - start, 3),
    }
    write_json(directory / "summary.json", summary)
    return FinalResults(deterministic, stochastic, figure)
