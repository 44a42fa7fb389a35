"""Collection, initialization, sampling and evaluation on the page of `python -m rl.lockstep`."""

from collections.abc import Mapping, Sequence

from rl.experiments.lockstep import evaluation, sampling
from rl.experiments.lockstep.collection import Collected
from rl.experiments.lockstep.combinations import DEFAULT
from rl.experiments.lockstep.components import (
    DRAWS,
    EPISODES,
    ROLLOUTS,
    SEEDS,
    SIGNIFICANCE,
    STEPS,
    TRAINED,
    Components,
    Rollouts,
    Trained,
)
from rl.experiments.lockstep.initialization import GAINS, Initialization
from rl.experiments.pages import paragraph, table


def component_parts(found: Components) -> list[str]:
    """The Markdown blocks."""
    return [
        *_collection(found.collection),
        *_initialization(found.initialization),
        *_sampling(found.sampling),
        *_evaluation(found.evaluation),
    ]


def _collection(found: Mapping[Rollouts, Collected]) -> Sequence[str]:
    text = f"""
        Stable-Baselines3 trains for {STEPS:,} steps with four environments in parallel and five steps per update. Our
        environments start from the same seeds and take the actions that it sampled; our networks receive its weights
        before every rollout. The table shows the largest difference in all rollouts: absolute for transitions
        (observations, stored actions, rewards, true successors, terminations, truncations), for episode statistics
        (return, length and step, compared with its Monitor, which rounds returns to six digits) and for
        log-probabilities; relative to the largest return of the rollout for the bootstrapped reward r + γ V(s′) at
        truncations, for returns and for advantages."""
    heads = [
        "environment", "time limit", "backend", "steps", "episodes", "truncated", "transitions", "episode statistics",
        "log-probabilities", "bootstraps", "returns", "advantages",
    ]  # fmt: skip
    rows = (
        [
            env, str(limit or "registered"), backend, f"{found[env, limit, backend].steps:,}",
            *_collected(found[env, limit, backend]),
        ]
        for env, limit, backend in ROLLOUTS
    )  # fmt: skip
    return f"## Collection, at a learning rate of {DEFAULT:g}", paragraph(text), table(heads, rows, words=3)


def _collected(x: Collected) -> list[str]:
    worst = x.worst
    bootstraps = _number(worst.bootstraps) if x.truncations else "–"
    before, after = (worst.transitions, worst.episodes, worst.log_probs), (worst.returns, worst.advantages)
    return [f"{x.episodes:,}", f"{x.truncations:,}", *map(_number, before), bootstraps, *map(_number, after)]


def _initialization(found: Mapping[str, Initialization]) -> Sequence[str]:
    tests = 2 * len(GAINS) * len(found)
    text = f"""
        Are initial networks distributed alike? {len(SEEDS):,} seeds on either side; two-sample Kolmogorov–Smirnov tests
        compare, layer by layer, two numbers of each seed: the layer's first weight, and Σ w⁴, which distinguishes an
        orthogonal matrix from independent weights. With {tests} tests, a p-value below {SIGNIFICANCE / tests:.1e} would
        be significant at {SIGNIFICANCE:.0%}. All singular values σ of an orthogonal matrix equal its gain: the table
        shows the largest |σ / gain − 1|. {_copied(found)}"""
    heads = ["environment", "layer", "gain", "p, first weight", "p, Σ w⁴", "singular values, ours", "SB3's"]
    rows = (
        [
            env, name, f"{GAINS[name]:.4g}", f"{layer.p_weight:.2f}", f"{layer.p_fourth:.2f}", _number(layer.ours),
            _number(layer.theirs),
        ]
        for env, one in found.items()
        for name, layer in one.layers.items()
    )  # fmt: skip
    return "## Initialization, before any learning", paragraph(text), table(heads, rows, words=2)


def _copied(found: Mapping[str, Initialization]) -> str:
    biases, log_stds, log_probs, values = (
        _number(max(getattr(one, name) for one in found.values()))
        for name in ("biases", "log_stds", "log_probs", "values")
    )
    return f"""
        The largest bias on either side is {biases}, and log standard deviations differ by at most {log_stds}. With
        Stable-Baselines3's weights in our networks, log-probabilities differ by at most {log_probs} and values by at
        most {values}."""


def _sampling(found: Mapping[str, Mapping[str, sampling.Comparison]]) -> Sequence[str]:
    tests = 2 * sum(map(len, found.values()))
    categorical, gaussian = sampling.CATEGORICAL, sampling.GAUSSIAN
    text = f"""
        Do both sides draw actions from the same distribution? Each draws {DRAWS:,} actions from a policy with logits
        {_list(categorical.output)}, and as many from one with means {_list(gaussian.output)} and log standard
        deviations {_list(gaussian.log_std)}. Categorical actions are compared by χ² tests and the largest difference of
        frequencies; Gaussian ones by Kolmogorov–Smirnov tests and the largest difference of cumulative distributions,
        of whose two components the table shows the smaller p-value and the larger difference. With {tests} tests, a
        p-value below {SIGNIFICANCE / tests:.1e} would be significant at {SIGNIFICANCE:.0%}. The fused engine draws
        Gaussian noise in one way in evaluation and in another in training, which has a learning rate of 0 here. All our
        samplers draw categorical actions from the same random numbers, so these rows agree."""
    heads = ["policy", "our sampler", "p, beside SB3's", "p, beside the distribution itself", "largest difference"]
    rows = (
        [policy, name, f"{one.p_others:.2f}", f"{one.p_exact:.2f}", _number(one.apart)]
        for policy, by_sampler in found.items()
        for name, one in by_sampler.items()
    )
    return "## Sampling, from fixed distributions", paragraph(text), table(heads, rows, words=2)


def _evaluation(found: Mapping[Trained, evaluation.Comparison]) -> Sequence[str]:
    text = f"""
        Our agent trains briefly at a learning rate of {DEFAULT:g}. Then it plays {EPISODES} episodes by
        `agents.evaluation.evaluate`, and the same agent as a model of Stable-Baselines3 plays them by
        `evaluate_policy`: deterministically, from the same environment seeds. The table shows the largest difference of
        an episode's length and, relative to the largest return, of its return. Stochastic episodes have different
        seeds; a two-sample Kolmogorov–Smirnov test compares their returns. With {len(found)} tests, a p-value below
        {SIGNIFICANCE / len(found):.1e} would be significant at {SIGNIFICANCE:.0%}."""
    heads = [
        "environment", "observations", "steps trained", "episodes", "shortest", "longest", "lengths differ by",
        "returns differ by", "p, stochastic",
    ]  # fmt: skip
    rows = (
        [
            env, "normalized" if normalized else "as they are", f"{TRAINED[env, normalized]:,}", str(one.episodes),
            str(one.shortest), str(one.longest), str(one.lengths), _number(one.returns), f"{one.p_stochastic:.2f}",
        ]
        for (env, normalized), one in found.items()
    )  # fmt: skip
    return f"## Evaluation, of agents trained at a learning rate of {DEFAULT:g}", paragraph(text), table(heads, rows, 2)


def _number(x: float) -> str:
    return f"{x:.0e}" if x else "0"


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{x:g}" for x in numbers)
