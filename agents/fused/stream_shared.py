"""`StreamShared`: one flat memory for a stream's parameters and traces, used by both torch and the kernels."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from agents.fused import stream
from agents.fused.arrays import Integers, recent, zeros
from agents.fused.head_arrays import head_of, work_for
from agents.fused.memory import COLUMN, FAN_IN, WIDTH, Reports, layer_table, new_batch, padded, views
from agents.fused.program import Kernels
from agents.fused.shared import norms_of
from agents.fused.stream import StreamMemory
from agents.fused.stream_network import StreamNet
from agents.fused.stream_steps import RULES
from agents.fused.units import ACTIVATIONS
from agents.networks.actor_critic import input_size
from agents.networks.heads import inverse_softplus
from agents.stream_learner import StreamLearner, policy_failure, td_error_failure
from agents.traces import Traces


class StreamShared:
    """Binds the tensors of a learner's networks and traces to flat arrays, again if they were replaced."""

    kernels, report, metrics = cast(Kernels, stream), stream.REPORT, stream.METRICS
    n_steps = 1

    def __init__(self, learner: StreamLearner) -> None:
        self.learner = learner
        self.head = head_of(learner.policy.head)
        pairs = ((learner.policy.net, learner.policy_traces), (learner.value.net, learner.value_traces))
        self._networks = [BoundNetwork(net, traces) for net, traces in pairs]
        average = learner.average
        self._average = BoundNetwork(average.policy.net, None) if average else None
        self._memory: StreamMemory | None = None
        self._acting: dict[int, StreamMemory] = {}

    def memory(self, steps: int, envs: int) -> StreamMemory:
        """The arrays for training, which steps one environment once per update."""
        self._refresh()
        self._memory = self._memory or self._new_memory(1)
        return self._memory._replace(options=self._options())

    def _refresh(self) -> None:
        for network in (*self._networks, *([self._average] if self._average else ())):
            network.refresh()

    def acting_memory(self, envs: int, deterministic: bool) -> StreamMemory:
        """The arrays for acting, with the averaged policy for deterministic actions."""
        self._refresh()
        memory = recent(self._acting, envs, lambda: self._new_memory(envs))._replace(options=self._options())
        return memory._replace(policy=memory.average) if deterministic and self._average else memory

    def write_back(self, report: Reports) -> None:
        """Raises FloatingPointError if the policy is not finite, of which kernels take no notice.

        All that changes lies in the arrays.
        """
        if not bool(torch.isfinite(self._networks[0].theta).all()):
            raise policy_failure()

    def error(self, status: int, report: Reports) -> FloatingPointError:
        return td_error_failure(report["td_error"].item())

    def _new_memory(self, envs: int) -> StreamMemory:
        learner, rows = self.learner, max(2, envs)
        batch = new_batch(self.head, rows, 1, envs, input_size(learner.obs_space))
        policy, value = (network.arrays() for network in self._networks)
        norms = norms_of(learner.obs_norm, learner.reward_norm, 1)
        average = self._average.arrays() if self._average else policy._replace(theta=np.empty_like(policy.theta[:0]))
        steps = learner.average.steps.numpy() if learner.average else np.zeros(1)
        before, work = np.empty_like(policy.theta), work_for(self.head, envs)
        return StreamMemory(
            self._options(), policy, value, average, steps, learner.begins.numpy(), before, batch, norms, work
        )

    def _options(self) -> np.ndarray:
        options, settings = np.zeros(1, stream.OPTIONS), self.learner.settings
        options["bootstrap"] = settings.truncation == "bootstrap"
        options["entropy_in_trace"] = settings.entropy_form == "td_error"
        options["rule"] = RULES.index(settings.step_rule)
        options["activation"] = ACTIVATIONS.index(settings.activation)
        options["averaging_steps"] = settings.averaging_steps or 0
        options["reward_clip"] = np.inf if settings.reward_clip is None else settings.reward_clip
        options["max_policy_shift"] = np.nan if settings.max_policy_shift is None else settings.max_policy_shift
        options["std_shift"] = inverse_softplus(settings.log_std_init)
        for name in stream.CONSTANTS:
            options[name] = getattr(settings, name)
        return options


class BoundNetwork:
    """A network's parameters, traces and moments (if any) in flat tensors."""

    def __init__(self, net: nn.Sequential, traces: Traces | None) -> None:
        self.net, self.traces = net, traces
        self.layers: Integers
        self.layers, size = layer_table(net, 0)
        moments = size if traces and traces.rule.moments else 0
        self.theta, self.trace, self.moments = (torch.zeros(n) for n in (size, size if traces else 0, moments))
        self.state = traces.rule.state if traces else torch.zeros(4, dtype=torch.float64)
        self._bound: list[Tensor] = []  # torch's tensors, views of the flat ones

    def refresh(self) -> None:
        """Moves the tensors into the flat ones unless they are there; torch's tensors become views."""
        traces, parameters = self.traces, [*self.net.parameters()]
        tensors = [p.data for p in parameters]
        if traces:
            tensors += [*traces.traces, *traces.rule.moments]
        if [t.data_ptr() for t in tensors] == [t.data_ptr() for t in self._bound]:
            return
        order = {id(p): k for k, p in enumerate(parameters)}
        places = []
        for flat in (self.theta, self.trace, self.moments):
            pairs = views(self.net, self.layers, flat) if len(flat) else []
            places.append([place for _, place in sorted(pairs, key=lambda pair: order[id(pair[0])])])
        self._bound = [place for part in places for place in part]
        for tensor, place in zip(tensors, self._bound, strict=True):
            place.copy_(tensor)
        for p, place in zip(parameters, places[0], strict=True):
            p.data = place
        if traces:
            traces.traces, traces.rule.moments = places[1], places[2]

    def arrays(self) -> StreamNet:
        inputs = padded(int(self.layers[0, FAN_IN]))
        layers = self.layers.copy()
        layers[:, COLUMN] += inputs
        size = inputs + int(layers[:, WIDTH].sum())
        return StreamNet(
            layers, self.theta.numpy(), self.trace.numpy(), self.moments.numpy(), zeros(len(self.moments)),
            self.state.numpy(), zeros(size), zeros(size), zeros(2 * size), zeros(len(layers)),
        )  # fmt: skip
