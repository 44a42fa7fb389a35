"""`Watch`: detects changes to a learner that the compiled kernels do not see."""

from collections.abc import Iterator

import torch
from torch import Generator, nn

from agents.averages import PolicyAverage
from agents.base_learner import BaseLearner
from agents.engines import replaced_method
from agents.maths.normalize import ObservationNormalizer, RewardNormalizer
from agents.optimizer import ConstrainedOptimizer
from agents.settings.values import ConfigError
from agents.traces import Traces


class Watch:
    """Compares a learner with its state when the kernels were bound: modules, hooks, frozen parameters, constants."""

    def __init__(self, learner: BaseLearner) -> None:
        self.learner = learner
        networks = (("policy", learner.policy), ("value", learner.value))
        self._modules: list[tuple[str, nn.Module]] = [
            pair for name, network in networks for pair in network.named_modules(prefix=name)
        ]
        self._parameters = [pair for name, network in networks for pair in network.named_parameters(prefix=name)]
        self._contents = [_content(module) for _, module in self._modules]
        self._constants = dict(_constants(learner))

    def change(self) -> str:
        """The first change found, by its name in the learner; empty if there is none.

        Raises ConfigError if a parameter has another precision than torch's default, in which kernels compute.
        """
        for (name, module), content in zip(self._modules, self._contents, strict=True):
            if _content(module) != content:
                return name
            if _hooked(module):
                return f"the hooks of {name}"
            if method := replaced_method(module):
                return f"{method} of {name}"
        for name, p in self._parameters:
            if found := self._change_of(name, p):
                return found
        for name, constants in _constants(self.learner):
            if constants != self._constants[name]:
                return name
        return _change_of_parts(self.learner)

    @staticmethod
    def _change_of(name: str, p: nn.Parameter) -> str:
        if p.dtype != torch.get_default_dtype():
            raise ConfigError(
                f"{name} is {p.dtype}, and torch's default type is {torch.get_default_dtype()}: build and use an "
                "agent after the same torch.set_default_dtype"
            )
        if not p.requires_grad:
            return f"{name}.requires_grad"
        return f"the hooks of {name}" if p._backward_hooks or p._post_accumulate_grad_hooks else ""


def _hooked(module: nn.Module) -> bool:
    backward = module._backward_hooks or module._backward_pre_hooks
    return bool(backward or module._forward_hooks or module._forward_pre_hooks)


def _content(module: nn.Module) -> list[object]:
    """A module's children, parameters and head, by identity, and its numbers, such as a negative slope."""
    inside = [*module._modules.values(), *module._parameters.values(), vars(module).get("head")]
    return [*map(id, inside), *_numbers(module)]


def _numbers(part: object) -> list[object]:
    return [value for value in vars(part).values() if type(value) in (int, float)]


def _parts(learner: BaseLearner) -> dict[str, object]:
    """The parts that are neither networks nor generators."""
    parts: dict[str, object] = {name: getattr(learner, name) for name in learner.parts}
    skipped = (nn.Module, Generator, type(None))
    return {name: part for name, part in parts.items() if not isinstance(part, skipped)}


def _change_of_parts(learner: BaseLearner) -> str:
    """The first replaced method of the learner, its parts and torch's optimizer, or a hook of that optimizer."""
    parts: list[object] = [*_parts(learner).values()]
    for part in parts:
        if isinstance(part, ConstrainedOptimizer):
            inner = part.inner
            if inner._optimizer_step_pre_hooks or inner._optimizer_step_post_hooks:
                return "the hooks of optimizer"
            parts = [*parts, inner]
    return replaced_method(learner, *parts)


def _constants(learner: BaseLearner) -> Iterator[tuple[str, list[object]]]:
    """Name → a part's numbers that never change in training, and the ids of the arrays shared with kernels."""
    for name, part in _parts(learner).items():
        if isinstance(part, ConstrainedOptimizer):  # the kernels write learning rates and hold the parameters
            groups = part.inner.param_groups
            yield name, [{k: x for k, x in group.items() if k not in ("params", "lr")} for group in groups]
            continue
        yield name, _numbers(part)
        if isinstance(part, ObservationNormalizer | RewardNormalizer):
            yield f"{name}.moments", [*map(id, vars(part.moments).values())]
        if isinstance(part, ObservationNormalizer):
            yield f"{name}.mask", [id(part.mask)]
        if isinstance(part, RewardNormalizer):
            yield f"{name}.returns", [id(part.returns)]
        if isinstance(part, Traces):
            yield f"{name}.rule", [id(part.rule), id(part.rule.state), *_numbers(part.rule)]
        if isinstance(part, PolicyAverage):
            yield f"{name}.policy", [id(part.policy), id(part.steps)]
