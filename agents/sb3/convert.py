"""`from_sb3`, `to_sb3`: parameters, optimizer state, normalizers and counters between our A2C and SB3's."""

from collections.abc import Collection
from pathlib import Path
from typing import cast

import gymnasium as gym
import numpy as np
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn, optim

from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.maths.normalize import RunningMoments
from agents.maths.schedules import Linear, Schedule
from agents.networks.actor_critic import ACTIVATIONS, Policy, Value
from agents.sb3.model import NUMBERS, SAME, Remaining, build, linears
from agents.settings.actor_critic import Engine
from agents.settings.values import ConfigError
from envs import EnvLike, Variant
from envs.spaces import brief

_OPTIMIZERS: dict[type[optim.Optimizer], dict[str, bool]] = {
    optim.RMSprop: {"use_rms_prop": True},
    RMSpropTFLike: {"use_rms_prop": True, "rms_prop_tf_like": True},
    optim.Adam: {"use_rms_prop": False},
}

_PLAIN = {"alpha": 0.99, "momentum": 0, "centered": False, "weight_decay": 0, "betas": (0.9, 0.999), "amsgrad": False}


def from_sb3(
    model: sb3.A2C | str | Path,
    env: EnvLike | None = None,
    *,
    variant: Variant = Variant(),  # noqa: B008 - immutable
    engine: Engine = "auto",
) -> A2C:
    """Our agent with the settings, parameters, optimizer state, normalizers and counters of an SB3 model.

    model: an A2C of Stable-Baselines3 with MlpPolicy, or its zip. A zip contains pickled code: open only files that you
    trust. VecNormalize belongs to the model's environment, so a zip that needs it must first be loaded by
    `sb3.A2C.load(zip, env=VecNormalize.load(…))`.
    env, engine: as for `A2C`. variant: the settings that change how env is built. Default: the model's environment,
    which a zip does not contain. Random generators are not converted.

    Raises ConfigError, a ValueError, if `A2C` has no counterpart of the model's algorithm, policy, architecture,
    optimizer or spaces; CheckpointError if the zip cannot be read.
    """
    theirs = _read(model) if isinstance(model, str | Path) else model
    _check_algorithm(theirs)
    policy = theirs.policy
    settings = _settings(theirs) | _network(policy) | _optimizer(policy.optimizer) | _normalization(theirs)
    if env is None:
        env, variant = _environment(theirs)
    settings |= variant._asdict() | {"engine": engine}
    if isinstance(env, str) or (callable(env) and not isinstance(env, gym.Env)):
        settings["num_envs"] = theirs.n_envs
    agent = A2C(env, **settings)  # type: ignore[arg-type]
    for what, space, wanted in (
        ("observations", agent.obs_space, theirs.observation_space),
        ("actions", agent.worlds.env_action_space, theirs.action_space),
    ):
        if space != wanted:
            raise ConfigError(f"the model is for {what} {brief(wanted)}; {agent.worlds.env_id} has {brief(space)}")
    for ours, other in parameters(agent.policy, agent.value, policy):
        _copy(other, policy.optimizer, ours, agent.learner.optimizer.inner)
    for own, their in _moments(agent, theirs.get_vec_normalize_env()):
        _moments_from(own, their)
    agent.loop.step, agent.loop.iteration = theirs.num_timesteps, theirs._n_updates
    return agent


def to_sb3(agent: A2C, drop: Collection[str] = ()) -> sb3.A2C:
    """The inverse of `from_sb3`: an SB3 model with the same predictions, which continues training from the same step.

    Its environments are new, in VecNormalize if the agent normalizes. drop: settings to ignore, of those that SB3
    lacks; further training then differs. Raises ConfigError as `build` does.
    """
    model = build(agent, drop)
    policy = model.policy
    for ours, other in parameters(agent.policy, agent.value, policy):
        _copy(ours, agent.learner.optimizer.inner, other, policy.optimizer)
    for own, their in _moments(agent, model.get_vec_normalize_env()):
        _moments_to(own, their)
    model.num_timesteps, model._n_updates = agent.loop.step, agent.loop.iteration
    return model


def _read(path: str | Path) -> sb3.A2C:
    try:
        return sb3.A2C.load(path, device="cpu")
    except Exception as error:  # of zip files, JSON, pickles and SB3's own constructors
        raise CheckpointError(
            f"cannot read {path} as an A2C of Stable-Baselines3: {' '.join(str(error).split())[:160]}"
        ) from error


def _check_algorithm(model: sb3.A2C) -> None:
    if type(model) is not sb3.A2C or hasattr(model, "clip_range"):  # a PPO's zip loads as an A2C
        name = "PPO" if hasattr(model, "clip_range") else type(model).__name__
        raise ConfigError(f"the model is a {name}; only Stable-Baselines3's A2C can be converted")
    policy = model.policy
    if type(policy) is not ActorCriticPolicy:
        raise ConfigError(f"the model's policy is a {type(policy).__name__}; only MlpPolicy can be converted")
    if type(policy.features_extractor) is not FlattenExtractor:
        raise ConfigError(
            f"the model's features extractor is a {type(policy.features_extractor).__name__}, which A2C does not have"
        )
    if model.use_sde or policy.squash_output:
        raise ConfigError("the model uses state-dependent exploration (use_sde), which A2C does not have")


def _settings(model: sb3.A2C) -> dict[str, object]:
    same = {name: getattr(model, name) for name in (*SAME, *NUMBERS)}
    return same | {"seed": model.seed or 0, "learning_rate": _learning_rate(model)}


def _learning_rate(model: sb3.A2C) -> Schedule:
    """A number, a linear schedule, the ramp that `to_sb3` stored, or the model's function."""
    given = getattr(model.lr_schedule, "value_schedule", None)
    if isinstance(given, Remaining):
        return given.ramp
    if isinstance(given, LinearSchedule):
        return Linear(given.start, given.end, given.end_fraction)
    shares = np.linspace(0.0, 1.0, 101)
    rates = np.array([model.lr_schedule(1 - share) for share in shares])
    first, last = (float(f"{rate:.12g}") for rate in (rates[0], rates[-1]))  # removes rounding errors of the function
    if not np.allclose(rates, first + (last - first) * shares, rtol=1e-9, atol=1e-12 * abs(rates).max()):
        return given if callable(given) else model.lr_schedule
    return first if first == last else Linear(first, last)


def _network(policy: ActorCriticPolicy) -> dict[str, object]:
    nets = (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net)
    actor, critic = ([layer.out_features for layer in linears(net)] for net in nets)
    kinds = {type(layer) for net in nets for layer in net if not isinstance(layer, nn.Linear)}
    known = [name for name, kind in ACTIVATIONS.items() if kinds <= {kind}]
    if not known:
        raise ConfigError(
            f"the model's activation is {', '.join(sorted(kind.__name__ for kind in kinds))}; "
            f"A2C has {', '.join(ACTIVATIONS)}"
        )
    arch = actor if actor == critic else {"pi": actor, "vf": critic}
    return {
        "net_arch": arch, "activation": known[0], "ortho_init": policy.ortho_init, "log_std_init": policy.log_std_init,
    }  # fmt: skip


def _optimizer(optimizer: optim.Optimizer) -> dict[str, object]:
    group = optimizer.param_groups[0]
    chosen = _OPTIMIZERS.get(type(optimizer))
    if chosen is None:
        raise ConfigError(f"the model's optimizer is {type(optimizer).__name__}; A2C has RMSprop, RMSpropTFLike, Adam")
    for name, value in _PLAIN.items():
        if name in group and group[name] != value:
            raise ConfigError(f"the model's optimizer has {name}={group[name]}; A2C has {value}")
    return {**chosen, "rms_prop_eps": group["eps"]}


def _normalization(model: sb3.A2C) -> dict[str, object]:
    norm = model.get_vec_normalize_env()
    if norm is None:
        return {}
    for name, value in {"epsilon": 1e-8, "gamma": model.gamma}.items():
        if getattr(norm, name) != value:
            raise ConfigError(f"the model's VecNormalize has {name}={getattr(norm, name)}; A2C has {value}")
    bound, other = norm.clip_obs, norm.clip_reward
    if norm.norm_obs and norm.norm_reward and bound != other:
        raise ConfigError(
            f"the model's VecNormalize has clip_obs={bound} and clip_reward={other}; A2C has one for both"
        )
    bound = bound if norm.norm_obs else other
    return {"normalize_observations": norm.norm_obs, "normalize_rewards": norm.norm_reward, "clip_normalized": bound}


def _environment(model: sb3.A2C) -> tuple[str, Variant]:
    """The id of the model's environments, and the variant that they were made with."""
    envs = model.get_env()
    if envs is None:
        raise ConfigError("the model has no environment: pass env=, such as its id")
    spec = envs.get_attr("spec")[0]
    wrappers = [] if spec is None else [w.name for w in spec.additional_wrappers if w.name != "Monitor"]
    if spec is None or wrappers or spec.id not in gym.registry:
        why = f"it is wrapped in {wrappers[0]}" if wrappers else "it has no id in the registry"
        raise ConfigError(f"the model's environment cannot be rebuilt from an id, since {why}: pass env=")
    registered = gym.registry[spec.id]
    kwargs = {key: value for key, value in spec.kwargs.items() if registered.kwargs.get(key) != value}
    kwargs.pop("render_mode", None)
    limit = spec.max_episode_steps
    return spec.id, Variant(limit if limit != registered.max_episode_steps else None, kwargs or None)


def parameters(policy: Policy, value: Value, other: ActorCriticPolicy) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Pairs of our parameters and SB3's, layer by layer, weight before bias; then the log standard deviations."""
    extractor = other.mlp_extractor
    ours = linears(policy.net, value.net)
    theirs = linears(extractor.policy_net, [other.action_net], extractor.value_net, [other.value_net])
    pairs = [
        (getattr(own, name), getattr(their, name))
        for own, their in zip(ours, theirs, strict=True)
        for name in ("weight", "bias")
    ]
    if policy.log_std is not None:
        pairs.append((policy.log_std, other.log_std))
    return pairs


@torch.no_grad()
def _copy(
    source: nn.Parameter, source_optimizer: optim.Optimizer, target: nn.Parameter, target_optimizer: optim.Optimizer
) -> None:
    """Copies a parameter and its optimizer state."""
    target.copy_(source)
    target_optimizer.state[target] = {
        key: value.detach().to(target.device, copy=True) if isinstance(value, torch.Tensor) else value
        for key, value in source_optimizer.state[source].items()
    }


def _moments(agent: A2C, norm: VecNormalize | None) -> list[tuple[RunningMoments, RunningMeanStd]]:
    """Pairs of the agent's moments and VecNormalize's, of everything that both normalize."""
    pairs = []
    if agent.learner.obs_norm and norm:
        pairs.append((agent.learner.obs_norm.moments, cast(RunningMeanStd, norm.obs_rms)))
    if agent.learner.reward_norm and norm:
        pairs.append((agent.learner.reward_norm.moments, norm.ret_rms))
    return pairs


def _moments_from(ours: RunningMoments, theirs: RunningMeanStd) -> None:
    ours.count.fill_(float(theirs.count))
    ours.mean.copy_(torch.as_tensor(theirs.mean).reshape(ours.mean.shape))
    ours.m2.copy_(torch.as_tensor(theirs.var * theirs.count).reshape(ours.m2.shape))


def _moments_to(ours: RunningMoments, theirs: RunningMeanStd) -> None:
    if ours.count:
        theirs.count = ours.count.item()
        theirs.mean = ours.mean.numpy().reshape(np.shape(theirs.mean)).copy()
        theirs.var = ours.var.numpy().reshape(np.shape(theirs.var)).copy()
