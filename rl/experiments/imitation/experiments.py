"""The experiments of `python -m rl.imitation`: environments, lines and settings.

The expert of an environment is an A2C with the environment's recipe and the settings in EXPERTS, trained from a seed
that no line uses. It plays ten complete episodes with its most probable actions. Cloning, GAIL and students that
learn from recorded states have no other data.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

EXPERT_SEED = 100
EPISODES, EPISODES_SEED = 10, 1000  # of the demonstrations; no run uses this seed
BOUND = 0.95  # share of the expert's return

EXPERTS: dict[str, tuple[str, ...]] = {
    "CartPole-v1": (),
    "Acrobot-v1": (),
    "MountainCarContinuous-v0": (),
    "Pendulum-v1": (),
    "LunarLander-v3": (
        "total_timesteps=2000000", "num_envs=16", "n_steps=16", "gamma=0.999", "gae_lambda=0.95", "ent_coef=0",
        "learning_rate=linear(2e-3,0)", "max_policy_shift=0.01", "normalize_advantage=true",
    ),
}  # environment → settings on top of the recipe  # fmt: skip


class LineSpec(NamedTuple):
    """One line of an experiment, in one environment."""

    label: str
    agent: str
    settings: tuple[str, ...]  # KEY=VALUE; {expert}: its run directory, {demonstrations}: their file
    recipe: str | None = None  # agent whose recipe lies below these settings; None: the line's own agent


class Measured(NamedTuple):
    """A column of metrics.csv whose final value a table shows."""

    label: str
    playing: str | None  # name for lines that play
    recorded: str | None  # name for lines that learn from recorded transitions


class Experiment(NamedTuple):
    """Content of one page."""

    name: str  # of its files
    title: str
    envs: Sequence[str]
    lines: Callable[[str], Sequence[LineSpec]]  # lines for an environment
    judged: Sequence[str]  # labels of the lines that should reach the bound; empty if no expert is needed
    measured: Measured
    tried: str  # how the settings were chosen


CLONING, GAIL = "behavior cloning", "GAIL"
INDEPENDENT = "independent"
_FROM = "demonstrations={demonstrations}"
_CLONE = (_FROM, "total_timesteps=500000", "num_envs=16", "learning_rate=1e-3", "normalize_observations=true")
_OFTEN = "log_interval=20"  # in updates; smoother curves

_STUDENT = (
    "teachers=[{expert}]", "net_arch=[16,16]", "num_envs=16", "learning_rate=2e-3", "normalize_observations=true",
    _OFTEN,
)  # fmt: skip

_OWN_STATES = ("n_steps=4", "total_timesteps=50000")
_RECORDED = (_FROM, "total_timesteps=100000")

_DIVERGENCES = {
    "forward": ("direction=forward",),
    "forward, τ = 2": ("direction=forward", "temperature=2"),
    "forward, τ = 4": ("direction=forward", "temperature=4"),
    "reverse": ("direction=reverse",),
    "JS": ("direction=js",),
}


def _cloning(env_id: str) -> list[LineSpec]:
    return [LineSpec(CLONING, "clone", _CLONE)]


def _gail(env_id: str) -> list[LineSpec]:
    given = (_FROM, _OFTEN)
    return [
        LineSpec(GAIL, "gail", given),
        LineSpec("constant reward", "gail", (*given, "reward=constant", "absorbing=false")),
        LineSpec("only positive rewards", "gail", (*given, "reward=positive", "absorbing=false")),
        LineSpec("only negative rewards", "gail", (*given, "reward=negative", "absorbing=false")),
        *_cloning(env_id),
    ]


def _distill(env_id: str) -> list[LineSpec]:
    states = {"own states": _OWN_STATES, "recorded": _RECORDED}
    return [
        LineSpec(f"{where}: {label}", "distill", (*_STUDENT, *settings, *divergence))
        for where, settings in states.items()
        for label, divergence in _DIVERGENCES.items()
    ]


def _mutual(env_id: str) -> list[LineSpec]:
    common = ("peers=2", "total_timesteps=100000", "n_steps=4", "learning_rate=2e-3", _OFTEN)
    weights = {INDEPENDENT: 0, "mutual, 0.1": 0.1, "mutual, 1": 1}
    return [
        LineSpec(label, "mutual", (*common, f"mutual_coef={weight}"), recipe="a2c") for label, weight in weights.items()
    ]


_CLONED = """Settings were tried on seeds 100 to 103; the results are of other seeds. LunarLander-v3's recipe is made
    for 200,000 steps and gives no expert. With 1,000,000 steps and a falling learning rate the agent stayed below its
    reward threshold, both with gamma 0.995 and long rollouts and with the recipe's other settings. With gamma 0.999,
    rollouts of 256 steps and 2,000,000 steps it passed the threshold, from the one seed that was tried. There, three
    runs of cloning without held-out episodes, with a learning rate that falls to 0 and an entropy bonus of 0.01, scored
    a little higher; the settings shown were kept because they are the same in all environments."""

_GENERATED = """GAIL's settings are those of configs/gail.yaml. They were found on seed 0, which is one of the ten, and
    tried again on seed 100, with 200,000 steps too. "Constant reward" is a control: every transition is worth 1. "Only
    positive" and "only negative rewards" are trained without absorbing states, so that the end of an episode is worth
    nothing. Pendulum-v1 was tried from one seed before; with these settings GAIL stays far from the expert there, and
    it is not shown."""

_DISTILLED = """A student that acts by itself ("own states") also visits states that its teacher seldom visits;
    "recorded" states are the teacher's. Learning rate and steps were chosen on single runs, and are the same for all
    lines."""

_PEERS = """The settings are the recipe's, with rollouts of 4 steps and a learning rate of 2e-3, because single steps
    take four times as long to train; they were chosen on seed 100."""

EXPERIMENTS = {
    each.name: each
    for each in (
        Experiment(
            "cloning", "Behavior cloning from ten episodes", ("CartPole-v1", "Acrobot-v1", "LunarLander-v3"),
            _cloning, [CLONING], Measured("held-out −ln π (nats)", None, "validation/loss"), _CLONED,
        ),
        Experiment(
            "gail", "GAIL from ten episodes", ("CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0"),
            _gail, [GAIL, CLONING], Measured("held-out JSD (nats)", "gail/jsd", None), _GENERATED,
        ),
        Experiment(
            "distillation", "Distillation into a tenth of the parameters", ("CartPole-v1", "Acrobot-v1"),
            _distill, [line.label for line in _distill("CartPole-v1")],
            Measured("KL(teacher ‖ student) (nats)", "train/teacher_kl", "validation/loss"), _DISTILLED,
        ),
        Experiment(
            "mutual", "Mutual learning beside independent learning", ("CartPole-v1", "Acrobot-v1"), _mutual, [],
            Measured("diversity (nats)", "train/peer_diversity", None), _PEERS,
        ),
    )
}  # fmt: skip
