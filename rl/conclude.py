"""The end of a run: the last row of metrics, both evaluations, summary and figure."""

import time
from pathlib import Path
from typing import NamedTuple

from rl.config import RunSettings
from rl.evaluation import Evaluation, evaluate_both, summarize
from rl.figures import learning_curve
from rl.play import Trained
from rl.record import Recorder, write_json


class Conclusion(NamedTuple):
    """What a finished run has to say."""

    deterministic: Evaluation
    stochastic: Evaluation
    figure: Path


def conclude(
    directory: Path, agent: Trained, name: str, engine: str, recorder: Recorder, settings: RunSettings, start: float
) -> Conclusion:
    """Writes `summary.json` and `learning_curve.png`. start: when the command began, by `time.perf_counter`."""
    loop, threshold = agent.loop, agent.loop.worlds.reward_threshold
    recorder.flush(loop.step, loop.iteration, loop.seconds)
    recorder.close()
    deterministic, stochastic = evaluate_both(agent, settings.eval_episodes, loop.seed)
    summary: dict[str, object] = {
        "env": agent.env,
        "agent": name,
        "engine": engine,
        "seed": loop.seed,
        "total_timesteps": loop.step,
        "solved_at": recorder.solved_at,
        "train_seconds": round(loop.seconds, 3),
        "steps_per_second": round(loop.step / max(loop.seconds, 1e-9), 1),
        **summarize(deterministic, stochastic),
        "wall_seconds": round(time.perf_counter() - start, 3),
    }
    write_json(directory / "summary.json", summary)
    figure = learning_curve(directory, str(agent.env), name, loop.seed, threshold)
    return Conclusion(deterministic, stochastic, figure)
