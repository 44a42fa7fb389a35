"""`from_sb3`, `to_sb3`: parameters, optimizer state, normalizers and counters between our A2C or PPO and SB3's."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

import gymnasium as gym
import numpy as np
import stable_baselines3 as sb3
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import LinearSchedule
from torch import nn, optim

from agents.a2c import A2C
from agents.checkpoint import CheckpointError
from agents.maths.schedules import Linear, Schedule
from agents.networks.actor_critic import ACTIVATIONS
from agents.ppo import PPO
from agents.sb3.model import NUMBERS, Model, Remaining, build, epochs_of, linears, same
from agents.sb3.transfer import copy, moments, moments_from, moments_to, parameters
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
    model: Model | str | Path,
    env: EnvLike | None = None,
    *,
    variant: Variant = Variant(),  # noqa: B008 - immutable
    engine: Engine = "auto",
) -> A2C:
    """Our agent with the settings, parameters, optimizer state, normalizers and counters of an SB3 model.

    model: an A2C or PPO of Stable-Baselines3 with MlpPolicy, or its zip. A zip contains pickled code: open only
    files that you trust. VecNormalize belongs to the model's environment, so a zip that needs it must first be loaded
    by `sb3.A2C.load(zip, env=VecNormalize.load(…))`.
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
    agent = (PPO if isinstance(theirs, sb3.PPO) else A2C)(env, **settings)  # type: ignore[arg-type]
    for what, space, wanted in (
        ("observations", agent.obs_space, theirs.observation_space),
        ("actions", agent.worlds.env_action_space, theirs.action_space),
    ):
        if space != wanted:
            raise ConfigError(f"the model is for {what} {brief(wanted)}; {agent.worlds.env_id} has {brief(space)}")
    for ours, other in parameters(agent.policy, agent.value, policy):
        copy(other, policy.optimizer, ours, agent.learner.optimizer.inner)
    for own, their in moments(agent, theirs.get_vec_normalize_env()):
        moments_from(own, their)
    agent.loop.step, agent.loop.iteration = theirs.num_timesteps, theirs._n_updates // epochs_of(theirs)
    return agent


def to_sb3(agent: A2C, drop: Collection[str] = ()) -> Model:
    """The inverse of `from_sb3`: an SB3 model with the same predictions, which continues training from the same step.

    Its environments are new, in VecNormalize if the agent normalizes. drop: settings to ignore, of those that SB3
    lacks; further training then differs. Raises ConfigError as `build` does, and if update, layers, hooks or optimizer
    of the agent were changed.
    """
    if not isinstance(agent, A2C):
        raise ConfigError(f"to_sb3 converts A2C and PPO, not {type(agent).__name__}")
    if method := agent.changed_method(PPO if isinstance(agent, PPO) else A2C):
        raise ConfigError(f"{method} is not that of the algorithm in Stable-Baselines3, so to_sb3 cannot keep it")
    model = build(agent, drop)
    policy = model.policy
    _check_unchanged(agent, model)
    for ours, other in parameters(agent.policy, agent.value, policy):
        copy(ours, agent.learner.optimizer.inner, other, policy.optimizer)
    for own, their in moments(agent, model.get_vec_normalize_env()):
        moments_to(own, their)
    model.num_timesteps, model._n_updates = agent.loop.step, agent.loop.iteration * epochs_of(model)
    return model


def _check_unchanged(agent: A2C, model: Model) -> None:
    """Raises ConfigError if the networks or the optimizer are no longer those of the settings."""
    ours, extractor = agent.learner.optimizer.inner.param_groups, model.policy.mlp_extractor
    (theirs,) = model.policy.optimizer.param_groups
    for name in ("eps", *_PLAIN):
        for group in ours if name in theirs else ():
            if group.get(name, theirs[name]) != theirs[name]:
                raise ConfigError(f"the optimizer's {name} was changed to {group[name]}, which to_sb3 cannot keep")
    for net, other in ((agent.policy.net, extractor.policy_net), (agent.value.net, extractor.value_net)):
        units = [[layer for layer in layers if not isinstance(layer, nn.Linear)] for layers in (net, other)]
        if len(units[0]) != len(units[1]) or not all(map(_same_function, *units)):
            raise ConfigError(f"layers of the agent were replaced, which to_sb3 cannot keep: {units[0]}")
    for name, module in (pair for network in agent.networks for pair in network.named_modules()):
        if module._forward_hooks or module._forward_pre_hooks:
            raise ConfigError(f"the agent has hooks of {name or 'a network'}, which to_sb3 cannot keep")


def _read(path: str | Path) -> Model:
    try:
        model = sb3.A2C.load(path, device="cpu")
        return sb3.PPO.load(path, device="cpu") if hasattr(model, "clip_range") else model
    except Exception as error:  # from zip files, JSON, pickles and SB3's constructors
        raise CheckpointError(
            f"cannot read {path} as an A2C or PPO of Stable-Baselines3: {' '.join(str(error).split())[:160]}"
        ) from error


def _check_algorithm(model: Model) -> None:
    if type(model) not in (sb3.A2C, sb3.PPO) or hasattr(model, "clip_range") != isinstance(model, sb3.PPO):
        name = "PPO loaded as an A2C" if hasattr(model, "clip_range") else type(model).__name__
        raise ConfigError(f"the model is a {name}; only Stable-Baselines3's A2C and PPO can be converted")
    policy = model.policy
    if type(policy) is not ActorCriticPolicy:
        raise ConfigError(f"the model's policy is a {type(policy).__name__}; only MlpPolicy can be converted")
    if type(policy.features_extractor) is not FlattenExtractor:
        raise ConfigError(
            f"the model's features extractor is a {type(policy.features_extractor).__name__}; only MlpPolicy's own, "
            "FlattenExtractor, can be converted"
        )
    if model.use_sde or policy.squash_output:
        raise ConfigError("the model uses state-dependent exploration (use_sde), which cannot be converted")


def _settings(model: Model) -> dict[str, object]:
    settings = {name: getattr(model, name) for name in (*same(type(model)), *NUMBERS)}
    settings |= {"seed": model.seed or 0, "learning_rate": _schedule(model.lr_schedule)}
    if isinstance(model, sb3.PPO):
        clip, value_clip = model.clip_range, model.clip_range_vf
        settings["clip_range"] = _schedule(cast("Callable[[float], float]", clip))
        settings["clip_range_vf"] = (
            None if value_clip is None else _schedule(cast("Callable[[float], float]", value_clip))
        )
    return settings


def _schedule(schedule: Callable[[float], float]) -> Schedule:
    """A number, a linear schedule, the ramp that `to_sb3` stored, or the model's function."""
    given = getattr(schedule, "value_schedule", schedule)
    if isinstance(given, Remaining):
        return given.ramp
    if isinstance(given, LinearSchedule):
        return Linear(given.start, given.end, given.end_fraction)
    shares = np.linspace(0.0, 1.0, 101)
    rates = np.array([schedule(1 - share) for share in shares])
    first, last = (float(f"{rate:.12g}") for rate in (rates[0], rates[-1]))  # removes the function's rounding errors
    if not np.allclose(rates, first + (last - first) * shares, rtol=1e-9, atol=1e-12 * abs(rates).max()):
        return given if callable(given) else schedule
    return first if first == last else Linear(first, last)


def _network(policy: ActorCriticPolicy) -> dict[str, object]:
    nets = (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net)
    actor, critic = ([layer.out_features for layer in linears(net)] for net in nets)
    units = [layer for net in nets for layer in net if not isinstance(layer, nn.Linear)]
    known = [name for name, kind in ACTIVATIONS.items() if all(_same_function(layer, kind()) for layer in units)]
    if not known:
        raise ConfigError(
            f"the model's activation is {', '.join(sorted(set(map(repr, units))))}; "
            f"A2C has, with torch's default arguments, {', '.join(ACTIVATIONS)}"
        )
    arch = actor if actor == critic else {"pi": actor, "vf": critic}
    return {
        "net_arch": arch, "activation": known[0], "ortho_init": policy.ortho_init, "log_std_init": policy.log_std_init,
    }  # fmt: skip


def _same_function(layer: nn.Module, other: nn.Module) -> bool:
    """Whether both have the same type and arguments, such as a negative slope."""
    own, others = (
        {name: value for name, value in vars(module).items() if name not in ("training", "inplace") and name[0] != "_"}
        for module in (layer, other)
    )
    return type(layer) is type(other) and own == others


def _optimizer(optimizer: optim.Optimizer) -> dict[str, object]:
    group = optimizer.param_groups[0]
    chosen = _OPTIMIZERS.get(type(optimizer))
    if chosen is None:
        raise ConfigError(f"the model's optimizer is {type(optimizer).__name__}; A2C has RMSprop, RMSpropTFLike, Adam")
    for name, value in _PLAIN.items():
        if name in group and group[name] != value:
            raise ConfigError(f"the model's optimizer has {name}={group[name]}; A2C has {value}")
    return {**chosen, "rms_prop_eps": group["eps"]}


def _normalization(model: Model) -> dict[str, object]:
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


def _environment(model: Model) -> tuple[str, Variant]:
    """The id of the model's environments, and the variant with which they were made."""
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
