"""What every recorded metric means. `python -m rl.run.glossary` prints docs/metrics.md."""

from typing import NamedTuple


class Metric(NamedTuple):
    title: str  # on an axis
    unit: str
    equation: str
    healthy: str
    trouble: str


METRICS = {
    "rollout/ep_rew_mean": Metric(
        "training return", "reward", "mean of Σ r over the last 100 training episodes, with the environment's rewards",
        "rises, then levels off",
        "falls and stays low: the policy collapsed; far below the evaluation: sampling actions lowers the return",
    ),
    "rollout/ep_len_mean": Metric(
        "episode length", "steps", "mean length of the last 100 training episodes",
        "changes with the return", "at the time limit without a good return: the agent may have learned to stall",
    ),
    "eval_mean": Metric(
        "evaluation, deterministic", "reward",
        "mean of Σ r in an evaluation during training, with the most probable actions",
        "at or above the training return", "below the training return: the policy needs random actions",
    ),
    "eval_stochastic_mean": Metric(
        "evaluation, stochastic", "reward", "mean of Σ r in an evaluation during training, with sampled actions",
        "near the training return", "far from the training return: the policy changes within 100 episodes",
    ),
    "train/policy_loss": Metric(
        "policy loss", "advantage",
        "A2C: −mean(ln π(a|s) Â); PPO: −mean min(ρ Â, clip(ρ, 1 ± ε) Â), ρ = π(a|s) / π_old(a|s)",
        "fluctuates around 0; it does not measure progress", "grows without bound: look at the value loss",
    ),
    "train/value_loss": Metric(
        "value loss", "scaled return²", "mean((target − V(s))²), target = V(s) + Â",
        "levels off; rises while returns grow", "explodes: normalize rewards, or lower the critic's learning rate",
    ),
    "train/explained_variance": Metric(
        "value fit", "1", "1 − Var(target − V(s)) / Var(target)",
        "near 1: V predicts the targets; low values are normal with one step per update",
        "stays at or below 0: V predicts no better than a constant",
    ),
    "train/entropy": Metric(
        "entropy", "nats", "mean H(π(·|s)) over the states of the rollout; at most ln A for A actions",
        "falls slowly as the policy becomes certain", "near 0 early: raise ent_coef, or set target_entropy",
    ),
    "train/ent_coef": Metric(
        "entropy coefficient", "1", "the weight of the entropy in the loss, with its schedule and adaptation",
        "as scheduled", "keeps growing: target_entropy is not reached",
    ),
    "train/learning_rate": Metric(
        "learning rate of π", "1", "the optimizer's learning rate for π, with its schedule and adaptation",
        "as scheduled", "falls toward 0 with target_policy_shift: the target may be too small",
    ),
    "train/grad_norm": Metric(
        "gradient norm", "1", "‖∇ loss‖₂ of all parameters, before it is clipped; PPO: mean over minibatches",
        "of the order of max_grad_norm", "far above max_grad_norm throughout: every gradient is scaled down",
    ),
    "train/policy_shift_kl": Metric(
        "policy shift KL", "nats per update",
        "mean KL(π_before ‖ π_after) on the rollout's states, measured after the step",
        "1e-5 to 1e-2, and steady", "jumps by orders of magnitude: lower the learning rate, or set max_policy_shift",
    ),
    "train/policy_shift_kl_max": Metric(
        "largest policy shift KL", "nats per update", "the largest train/policy_shift_kl among the updates of the row",
        "within a few times the mean", "far above the mean: single updates move the policy away",
    ),
    "train/policy_shift_js": Metric(
        "policy shift JS", "nats per update", "mean JS(π_before, π_after), at most ln 2; Discrete actions only",
        "a quarter of the KL where both are small", "near ln 2: the policies hardly share actions",
    ),
    "train/clip_fraction": Metric(
        "clipped samples", "share", "PPO: share of samples with |ρ − 1| > ε, over all minibatches",
        "0.05 to 0.3", "0: the clip has no effect; above 0.5: too many epochs, or too high a learning rate",
    ),
    "train/approx_kl": Metric(
        "KL estimate", "nats", "PPO: mean(ρ − 1 − ln ρ), an estimate of KL(π_old ‖ π) (Schulman 2020)",
        "below 0.02", "above 1.5 · target_kl: the update ends early",
    ),
    "train/td_error": Metric(
        "TD error", "scaled return", "stream: δ = r + γ (1 − terminated) V(s′) − V(s)",
        "around 0 on average", "one sign throughout: V lags behind",
    ),
    "train/value": Metric(
        "value", "scaled return", "stream: V(s)",
        "of the size of the scaled discounted return", "grows without bound: V diverges",
    ),
    "train/value_step": Metric(
        "step size of V", "1", "stream: the step along the trace of V, by the step rule (docs/streaming.md)",
        "steady", "near 0 throughout: the step rule shortens every update",
    ),
    "train/policy_step": Metric(
        "step size of π", "1", "stream: the step along the trace of π, by the step rule (docs/streaming.md)",
        "steady", "near 0 throughout: the step rule shortens every update",
    ),
    "train/loss": Metric(
        "loss on minibatches", "nats", "clone: −mean ln π(a|s); distill from recordings: train/distill_loss",
        "falls", "clone: far below validation/loss: the policy overfits",
    ),
    "validation/loss": Metric(
        "loss on held-out episodes", "nats",
        "clone: −mean ln π(a|s); distill: mean KL(teacher ‖ student); on held-out episodes, after each epoch",
        "falls, then levels off", "rises: training ends after `patience` epochs, with the best policy",
    ),
    "train/epoch": Metric("epoch", "passes", "complete passes over the demonstrations", "grows", "–"),
    "train/accuracy": Metric(
        "agreement", "share", "clone, Discrete actions: mean of argmax π(·|s) = a",
        "rises", "stays at 1/A: the observations do not determine the expert's actions",
    ),
    "train/distill_loss": Metric(
        "distillation loss", "nats", "distill: distill_coef · τ² · mean D(teacher, student)",
        "falls", "constant from the start: raise distill_coef or the learning rate",
    ),
    "train/teacher_kl": Metric(
        "KL from the teacher", "nats", "distill: mean KL(teacher ‖ student) at temperature 1, before the gradient step",
        "falls", "rises: with rl_coef, rewards may outweigh the teachers; lower it",
    ),
    "train/peer_kl": Metric(
        "KL between peers", "nats", "mutual: mean KL(π_j ‖ π_k) over peers k and the other peers j",
        "falls", "rises: mutual_coef is too small to keep the peers close",
    ),
    "train/peer_diversity": Metric(
        "diversity of peers", "nats", "mutual, Discrete actions: generalized JS divergence of the peers, 0 if equal",
        "falls slowly", "0: the peers' policies are equal",
    ),
    "gail/reward": Metric(
        "imitation reward", "1", "gail: mean reward that the discriminator gives the policy's transitions",
        "rises with the returns", "rises while the returns fall: the policy deceives the discriminator",
    ),
    "gail/discriminator_value": Metric(
        "value of the GAN", "nats", "gail: V(D, G) = mean ln D(expert) + mean ln(1 − D(policy)), on unseen transitions",
        "near −ln 4: D cannot tell them apart", "near 0: D is nearly always right, and its rewards say little",
    ),
    "gail/discriminator_accuracy": Metric(
        "accuracy of the discriminator", "share", "gail: share of correct decisions at D = 1/2, on unseen transitions",
        "0.5 to 0.8", "1: D is always right; raise gradient_penalty or lower discriminator_steps",
    ),
    "gail/discriminator_entropy": Metric(
        "entropy of the discriminator", "nats", "gail: mean entropy of the decision by D, at most ln 2",
        "well above 0", "0: D is certain everywhere",
    ),
    "gail/jsd": Metric(
        "JSD from the expert", "nats", "gail: (V(D, G) + ln 4) / 2, which underestimates the JS divergence",
        "falls toward 0", "near ln 2: the transitions of expert and policy hardly overlap",
    ),
    "time/seconds": Metric(
        "training time", "s", "time of collecting and updating, without evaluations and hooks", "–", "–"
    ),
    "time/steps_per_second": Metric(
        "speed", "steps per second", "environment steps divided by time/seconds, since the run began", "steady",
        "falls: the environment slows down, or other processes use the machine",
    ),
}  # fmt: skip

_HEAD = """\
# Metrics

This page explains the columns of a run's `metrics.csv` and the mean returns in its `evaluations.csv`: the equation, the
unit, what a healthy run shows, and what points to trouble. Each row of `metrics.csv` holds means over the updates since
the previous row; updates in which a metric was not measured do not count. An agent records only the metrics that apply
to it. Rewards, and with them V and the losses, are scaled and normalized as the settings say; returns are not. What is
healthy depends on the environment: take it as a first guess.

Made by `python -m rl.run.glossary`."""


def page() -> str:
    """docs/metrics.md."""
    blocks = [_HEAD]
    for name, (title, unit, equation, healthy, trouble) in METRICS.items():
        rows = [("equation", equation), ("unit", unit), ("healthy", healthy), ("trouble", trouble)]
        items = "\n".join(f"- {key}: {text}" for key, text in rows if text != "–")
        blocks.append(f"## {name}\n\n{title[0].upper()}{title[1:]}\n\n{items}")
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    print(page(), end="")
