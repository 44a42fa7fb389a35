"""`Shared`: one flat memory for a learner's parameters and optimizer state, used by both torch and the kernels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.fused import chunk
from agents.fused import memory as layout
from agents.fused.arrays import Doubles, recent, zeros
from agents.fused.head_arrays import head_of, work_for
from agents.fused.learn import GRADIENT_NOT_FINITE
from agents.fused.memory import Memory, Net, Norms, Parameters, PPOScratch, Reports, Scratch
from agents.fused.optimizers import ADAM, RMSPROP, RMSPROP_TF_LIKE
from agents.fused.program import Kernels
from agents.fused.ranks import rank_arrays
from agents.fused.units import ACTIVATIONS
from agents.learner import Learner
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer, RunningMoments
from agents.maths.schedules import numbers_of
from agents.networks.actor_critic import input_size
from agents.optimizer import gradient_error, shift_error
from agents.settings.a2c import SCHEDULED

_STATE = {  # names of the flat arrays in each optimizer's state
    RMSPROP: {"square": "square_avg"},
    RMSPROP_TF_LIKE: {"square": "square_avg"},
    ADAM: {"square": "exp_avg_sq", "mean": "exp_avg"},
}


class Shared:
    """Binds a learner's tensors to flat arrays, again if they were replaced, and keeps its optimizer up to date."""

    kernels = cast(Kernels, chunk)
    report, options_type, scheduled = layout.REPORT, layout.OPTIONS, SCHEDULED
    names: Sequence[str] = layout.METRICS

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.head = head_of(learner.policy.head)
        begin = 0 if learner.policy.log_std is None else layout.padded(self.head.size)
        self.trunk, begin = layout.layer_table(learner.policy.trunk.shared, begin)
        self.policy, split = layout.layer_table(learner.policy.net, begin)
        self.value, total = layout.layer_table(learner.value.net, split)
        self.n_steps = learner.settings.n_steps
        skipped = () if isinstance(learner.actions, spaces.Discrete) else ("policy_shift_js",)
        self.metrics = ["" if name in skipped else name for name in self.names]
        self.adaptive = np.zeros(1, layout.ADAPTIVE)
        self._memories: dict[tuple[int, int], Memory] = {}
        self._acting: dict[int, Memory] = {}
        self._kind = _optimizer_of(learner)
        self._theta, self._grad, self._start = torch.zeros(total), torch.zeros(total), torch.zeros(split)
        self._flat = {name: torch.zeros(total) for name in _STATE[self._kind]}
        mean = self._flat.get("mean", torch.zeros(0))
        arrays = [x.numpy() for x in (self._theta, self._grad, self._flat["square"], mean, self._start)]
        self.params = Parameters(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], split)
        self._bound: list[tuple[Tensor, Tensor]] = []
        self._states: list[tuple[Tensor, str, Tensor]] = []
        self._steps = torch.zeros(0)

    def refresh(self) -> None:
        """Before a kernel: makes the tensors views of the arrays; copies the optimizer's adaptive state to them."""
        optimizer = self.learner.optimizer.inner
        state = optimizer.state
        whole = self._bound and all(p.data_ptr() == place.data_ptr() for p, place in self._bound)
        if not (whole and all(p in state and state[p].get(name) is place for p, name, place in self._states)):
            self._bind()
        descent = self.learner.optimizer
        adaptive = self.adaptive[0]
        if self._kind != RMSPROP_TF_LIKE:
            adaptive["optimizer_steps"] = self._steps.numpy().max()
        adaptive["step_factor"], adaptive["entropy_factor"] = descent.step_factor.value, descent.entropy_factor.value
        adaptive["penalty_factor"] = descent.penalty_factor.value
        adaptive["mean_shift"], adaptive["shifts"] = descent.mean_shift, descent.shifts

    def write_back(self, report: Reports) -> None:
        """After a kernel: updates the optimizer's adaptive state and step count. report: of the last update."""
        descent = self.learner.optimizer
        step_factor, entropy_factor, penalty_factor, mean_shift, shifts, steps = self.adaptive[0].item()
        descent.step_factor.value, descent.entropy_factor.value = step_factor, entropy_factor
        descent.penalty_factor.value = penalty_factor
        descent.mean_shift, descent.shifts = mean_shift, int(shifts)
        rates = report["learning_rate"].item(), report["critic_learning_rate"].item()
        for group, rate in zip(descent.inner.param_groups, rates, strict=True):
            group["lr"] = rate
        if self._kind == RMSPROP_TF_LIKE:
            for p, _ in self._bound:
                descent.inner.state[p]["step"] = int(steps)
        else:
            self._steps.fill_(steps)

    def error(self, status: int, report: Reports) -> FloatingPointError:
        if status == GRADIENT_NOT_FINITE:
            return gradient_error(report["loss"].item())
        return shift_error(report["learning_rate"].item())

    def memory(self, steps: int, envs: int) -> Memory:
        """The arrays for rollouts of T steps of N environments, with the current settings and adaptive coefficients."""
        self.refresh()
        if (steps, envs) not in self._memories:
            self._memories[steps, envs] = self._new_memory(steps, envs)
        return self._memories[steps, envs]._replace(options=self.options())

    def acting_memory(self, envs: int, deterministic: bool) -> Memory:
        """The arrays for acting: the same network for sampled and for deterministic actions."""
        self.refresh()
        return recent(self._acting, envs, lambda: self._new_memory(1, envs))._replace(options=self.options())

    def _new_memory(self, steps: int, envs: int) -> Memory:
        rows = 2 * steps * envs
        inputs = input_size(self.learner.obs_space)
        norm = self.learner.settings.layer_norm
        nets = [Net(layers, zeros(layout.room(layers, rows, norm))) for layers in (self.policy, self.value)]
        batch = layout.new_batch(self.head, rows, steps, envs, inputs)
        paths = [[int(layer[layout.WIDTH]) for layer in (*self.trunk, *layers)] for layers in (self.policy, self.value)]
        turned = max([above * below for path in paths for below, above in pairwise(path)], default=0)
        longest, widest = max(len(net.outputs) for net in nets), max(map(max, paths))
        trunk = layout.new_trunk(self.trunk, rows, norm)
        scratch = self.scratch(
            Scratch(
                zeros(longest),
                zeros(turned),
                zeros(widest),
                work_for(self.head, steps * envs),
                zeros(steps, envs),
                zeros(steps, envs),
                np.zeros(1, layout.coefficients_type(self.scheduled)),
                rank_arrays(self.learner.ranks, steps, envs, inputs),
                trunk,
                layout.new_features(trunk, batch.x),
            ),
            inputs,
        )
        norms = norms_of(self.learner.obs_norm, self.learner.reward_norm, envs)
        return Memory(self.options(), self.params, nets[0], nets[1], batch, scratch, norms, self.adaptive)

    def scratch(self, scratch: Scratch, inputs: int) -> Scratch | PPOScratch:
        """The algorithm's scratch space. inputs: number of network inputs."""
        return scratch

    def options(self) -> NDArray[np.void]:
        """The learner's current settings, [1] of `options_type`."""
        learner, options = self.learner, np.zeros(1, self.options_type)
        options["activation"] = ACTIVATIONS.index(learner.settings.activation)
        options["optimizer"] = _optimizer_of(learner)
        options["reward_clip"] = np.inf if learner.settings.reward_clip is None else learner.settings.reward_clip
        options["schedules"] = [numbers_of(getattr(learner.settings, name)) for name in self.scheduled]
        for name in layout.CONSTANTS:
            options[name] = getattr(learner.settings, name)
        return options

    def _bind(self) -> None:
        """Moves parameters and optimizer state to the flat memory; torch's tensors become views of it."""
        learner, optimizer = self.learner, self.learner.optimizer.inner
        self._bound = self._places(self._theta)
        for p, place in self._bound:
            place.copy_(p.data)
            p.data = place
        before = {p: dict(optimizer.state[p]) if p in optimizer.state else {} for p, _ in self._bound}
        steps = max((float(cast(float, state.get("step", 0))) for state in before.values()), default=0.0)
        self.adaptive["optimizer_steps"] = steps
        self._steps = torch.full((len(self._bound),), steps)
        fresh = 1.0 if self._kind == RMSPROP_TF_LIKE else 0.0
        self._states = []
        for i, (p, _) in enumerate(self._bound):
            optimizer.state[p] = {"step": int(steps) if self._kind == RMSPROP_TF_LIKE else self._steps[i]}
            if self._kind != RMSPROP_TF_LIKE:
                self._states.append((p, "step", cast(Tensor, optimizer.state[p]["step"])))
        for flat, name in _STATE[self._kind].items():
            for p, place in self._places(self._flat[flat]):
                place.copy_(cast(Tensor, before[p][name])) if name in before[p] else place.fill_(fresh)
                optimizer.state[p][name] = place
                self._states.append((p, name, place))
        for p in (*learner.policy.parameters(), *learner.value.parameters()):
            p.grad = None

    def _places(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pairs of each parameter of the learner and its view into a flat tensor."""
        policy, value = self.learner.policy, self.learner.value
        nets = ((policy.trunk.shared, self.trunk), (policy.net, self.policy), (value.net, self.value))
        pairs = [pair for net, layers in nets for pair in layout.views(net, layers, flat)]
        return pairs if policy.log_std is None else [(policy.log_std, flat[: self.head.size]), *pairs]


def _optimizer_of(learner: Learner) -> int:
    if not learner.settings.use_rms_prop:
        return ADAM
    return RMSPROP_TF_LIKE if learner.settings.rms_prop_tf_like else RMSPROP


def norms_of(obs: ObservationNormalizer | None, reward: RewardNormalizer | None, envs: int) -> Norms:
    """Arrays that share the normalizers' memory."""
    of_obs = obs.moments if obs else RunningMoments((1,))
    of_reward = reward.moments if reward else RunningMoments()
    returns = reward.returns.numpy() if reward else np.zeros(envs)
    return Norms(*_arrays(of_obs), *_arrays(of_reward), returns)


def _arrays(moments: RunningMoments) -> tuple[Doubles, Doubles, Doubles]:
    count, mean, m2 = (x.numpy().reshape(-1) for x in (moments.count, moments.mean, moments.m2))
    return count, mean, m2
