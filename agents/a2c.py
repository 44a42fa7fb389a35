"""A2C: advantage actor-critic, from scratch. Single-step TD by default; n-step and GAE generalize it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from agents import storage
from agents.engines import choose
from agents.loop import Chunks, Hook, Loop
from agents.machine import torch_threads
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer, scale_and_clip
from agents.maths.returns import explained_variance, gae, td_error
from agents.maths.schedules import value_at
from agents.networks.actor_critic import encode, input_size
from agents.networks.build import build_networks, normalized_mask
from agents.networks.forward import Objective, legal_actions, next_value, policy_and_value, policy_step, recurrent_input
from agents.networks.heads import StateDependentNoise
from agents.optimizer import Descent, Shift, check_target_entropy
from agents.rollout import FREE, Array, Choice, Given, Metrics, Rollout
from agents.settings.a2c import A2CSettings, Engine
from agents.settings.recipes import recipe_settings
from agents.settings.schema import setting_types, setting_values
from agents.settings.values import ConfigError
from envs import EnvLike, make
from envs.spaces import batched, to_env_action
from envs.streams import stream_generator


class A2C(A2CSettings):
    """Policy π_θ and value V_φ, updated together after every `n_steps` steps of `num_envs` environments.

    Its arguments are the fields of `agents.settings.a2c.A2CSettings`: the environment, and hyper-parameters by keyword.
    Raises ValueError on a setting out of range, and as `envs.make` does.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.worlds = make(
            self.env, self.num_envs, self.seed, variant=self.variant, backend=self.backend,
            action_masks=self.action_masks, step_timeout=self.step_timeout,
        )  # fmt: skip
        if self.normalize_advantage and self.worlds.num_envs * self.n_steps == 1:
            raise ConfigError("normalize_advantage needs more than one step an update: raise num_envs or n_steps")
        self.obs_space = self.worlds.obs_space
        check_target_entropy(self.target_entropy, self.worlds.policy_action_space)
        with torch_threads(1):  # more make other orthogonal matrices of the same seed
            self._build()
        self.fused, self.engine_note = choose(self)
        self.loop = Loop(self, self.worlds, self.seed)

    # --- the algorithm ---

    @torch.no_grad()
    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, given: Given = FREE
    ) -> Choice:
        """a ~ π_θ(·|s), or its mode. obs: [N, …]. Draws from `generator`, by default the agent's own."""
        if self.fused:
            return self.fused.act(obs, deterministic, generator or self.generator)
        pi, hidden, state = policy_step(self.policy, self.encoded(torch.as_tensor(obs)), given)
        if deterministic:
            action = pi.mode()
        elif self.noise is not None and generator is None:  # in training, where it goes on from step to step
            action = self.noise(pi, hidden, cast(Tensor, self.policy.log_std), self.generator)
        else:
            action = pi.sample(generator or self.generator)
        return Choice(action, pi.raw, state)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step on a rollout; progress: the share of training done, for the schedules.

        Loss: −mean(ln π(a|s) Â) + vf_coef · mean((V − target)²) − ent_coef · mean(H), where δ is the TD error,
        Â = GAE(δ), target = V + Â, neither differentiated. The policy shift KL(π_before ‖ π_after) is measured after
        the step, on the rollout's own states; before it, it would be 0. Source: Mnih et al. 2016, algorithm S3.
        Raises FloatingPointError if the gradient is not finite, before any parameter changes, or if the policy moved
        infinitely far.
        """
        if self.fused:  # the same in compiled kernels
            return self.fused.update(batch, progress)
        return self.descend(self.objective(batch, progress), batch, progress)

    def objective(self, batch: Rollout, progress: float = 0.0) -> Objective:
        """The loss of `update`, with what it was made of."""
        obs, next_obs, reward = self._inputs(batch)
        pi, v = policy_and_value(self.policy, self.value, obs, batch)
        advantage, target = self._estimate(batch, reward, v.detach(), obs, next_obs)
        if self.normalize_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = -(pi.log_prob(batch.action) * advantage).mean()
        value_loss = (target - v).square().mean()
        entropy = pi.entropy().mean()
        ent_coef = self.descent.entropy_coefficient(progress)
        loss = policy_loss + value_at(self.vf_coef, progress) * value_loss - ent_coef * entropy
        measured = {
            "train/policy_loss": policy_loss.detach(),
            "train/value_loss": value_loss.detach(),
            "train/entropy": entropy.detach(),
            "train/ent_coef": torch.tensor(ent_coef),
            "train/explained_variance": explained_variance(v.detach(), target),
        }
        return Objective(loss, pi, obs, measured)

    def descend(self, of: Objective, batch: Rollout, progress: float = 0.0) -> Metrics:
        """The optimizer's step on an objective of this rollout, to whose loss others may have added."""
        shift = Shift(
            self.policy, batch.behavior, lambda: self.policy(of.obs, recurrent_input(batch), legal_actions(batch))
        )
        metrics = self.descent.step(of.loss, progress, shift) | shift.js()
        self.descent.adapt_entropy_coefficient(of.metrics["train/entropy"], progress)
        if self.obs_norm:
            self.obs_norm.update(encode(self.obs_space, batch.obs))
        return metrics | of.metrics

    @torch.no_grad()
    def estimate(self, batch: Rollout) -> tuple[Tensor, Tensor]:
        """Â and the target of V_φ, float32[T, N], of this rollout as the agent is now; changes nothing."""
        reward = scale_and_clip(batch.reward, self.reward_scale, self.reward_clip)
        reward = self.reward_norm(reward) if self.reward_norm else reward
        obs = self.encoded(batch.obs)
        _, v = policy_and_value(self.policy, self.value, obs, batch)
        return self._estimate(batch, reward, v, obs, self.encoded(batch.next_obs))

    @torch.no_grad()
    def _estimate(self, batch: Rollout, reward: Tensor, v: Tensor, x: Tensor, x_next: Tensor) -> tuple[Tensor, Tensor]:
        delta = td_error(v, reward, self.gamma * (~batch.terminated), next_value(self.value, v, x, x_next, batch))
        advantage = gae(delta, batch.ended, self.gamma * self.gae_lambda)
        return advantage, v + advantage

    def _inputs(self, batch: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Encoded observations and successors, float32[T, N, D], and rewards as the critic sees them."""
        reward = scale_and_clip(batch.reward.to(torch.get_default_dtype()), self.reward_scale, self.reward_clip)
        if self.reward_norm:
            self.reward_norm.update(reward, batch.ended)
            reward = self.reward_norm(reward)
        return self.encoded(batch.obs), self.encoded(batch.next_obs), reward

    def encoded(self, obs: Tensor) -> Tensor:
        """Observations as the networks see them, float32[..., D]. obs: [..., *shape], as the environment gave them."""
        x = encode(self.obs_space, obs)
        return self.obs_norm(x) if self.obs_norm else x.to(torch.get_default_dtype())

    @property
    def engine_in_use(self) -> str:
        return "fused" if self.fused else "torch"

    @property
    def settings(self) -> dict[str, object]:
        return setting_values(self)

    @property
    def networks(self) -> list[nn.Module]:
        return [self.policy, self.value]

    @property
    def chunk(self) -> Chunks | None:
        """Several iterations in one call, if the engine can."""
        return self.fused.chunk if self.fused else None

    def begin_episodes(self) -> None:
        """Told by the loop when every environment starts anew: the returns under way are of episodes that are gone."""
        if self.reward_norm:
            self.reward_norm.returns.zero_()

    # --- the interface ---

    def learn(self, total_timesteps: int, hooks: Sequence[Hook] = ()) -> Self:
        """Trains for this many further environment steps, at most; returns the agent. See `agents.loop.Loop.run`."""
        if self.fused:
            self.fused.warm(self.worlds)
        with torch_threads(self.threads):
            self.loop.run(self.loop.step + total_timesteps, hooks)
        return self

    def predict(
        self, observation: object, state: Tensor | None = None, episode_start: Array | None = None,
        deterministic: bool = False, action_masks: Array | None = None,
    ) -> tuple[Array, Tensor | None]:  # fmt: skip
        """The action for one observation or a batch, as the environment wants it; and what a recurrent agent remembers.

        state: what the call before returned; episode_start: bool[N], where to forget it; action_masks: bool[N, A], the
        legal actions. Leaves the generator of training alone. Raises ValueError if the observation has another form
        than the environment's, or is not finite.
        """
        obs, single = batched(self.worlds.env_obs_space, observation)
        if obs.dtype.kind == "f" and not np.isfinite(obs).all():
            raise ValueError(f"observation is not finite: {obs.tolist()}")
        if state is not None and episode_start is not None:
            state = state.masked_fill(torch.as_tensor(episode_start, dtype=torch.bool).reshape(-1, 1), 0.0)
        legal = None if action_masks is None else np.asarray(action_masks, bool).reshape(len(obs), -1)
        choice = self.act(obs, deterministic, self._predicting, Given(legal, state))
        env_action = to_env_action(self.worlds.env_action_space, choice.action.numpy(force=True))
        return (env_action[0] if single else env_action), choice.state

    def save(self, path: str | Path, extra: Mapping[str, object] | None = None) -> Path:
        """Writes everything that an exact resume needs, and `extra` beside it, to `path` (.pt is added if missing).

        Returns the path written. See `agents.checkpoint`.
        """
        return storage.save(self, path, extra)

    @classmethod
    def from_recipe(cls, env_id: str, seed: int = 0) -> Self:
        """An agent with the tuned settings that ship for an environment, those of `python -m rl.train`.

        Raises ConfigError if there are none.
        """
        return cls.build(env_id, recipe_settings(env_id) | {"seed": seed})

    @classmethod
    def load(cls, path: str | Path, env: EnvLike | None = None, engine: Engine | None = None) -> Self:
        """The agent as it was saved, with its environments where they can be had (`agent.loop.exact` tells).

        env: environments in place of the saved id; training then goes on there, with fresh episodes. engine: one in
        place of the saved.
        Raises CheckpointError if the file is damaged, foreign, or of an agent for other spaces.
        """
        file, content = storage.read(path, cls.__name__)
        return storage.restore(cls.build, setting_types(cls), file, content, env, engine)

    @classmethod
    def build(cls, env: EnvLike, settings: Mapping[str, object]) -> Self:
        """From settings in a mapping."""
        return cls(env, **settings)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, object]:
        """All that `update` and `act` change."""
        return storage.state_of(self)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        storage.set_state(self, state)

    # --- construction ---

    def _build(self) -> None:
        """Networks, optimizer, normalizers and generators."""
        init = stream_generator(self.seed, "initialization")
        self.generator, self._predicting = (stream_generator(self.seed, name) for name in ("actions", "predictions"))
        self.generators = [self.generator, self._predicting]
        space, flat = self.worlds.env_obs_space, self.obs_space
        self.policy, self.value = build_networks(self, space, flat, self.worlds.policy_action_space, init)
        frequency = self.n_steps if self.sde_sample_freq < 0 else self.sde_sample_freq
        self.noise = StateDependentNoise(frequency) if self.use_sde else None
        self.descent = Descent(self.policy, self.value, self)
        envs, bound = self.worlds.num_envs, self.clip_normalized
        self.obs_norm: ObservationNormalizer | None = None
        if self.normalize_observations:
            self.obs_norm = ObservationNormalizer(input_size(flat), bound, normalized_mask(self, space, flat))
        self.reward_norm = RewardNormalizer(envs, self.gamma, bound) if self.normalize_rewards else None
