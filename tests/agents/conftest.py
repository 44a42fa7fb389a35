"""Evaluations with given results."""

from collections.abc import Callable

import numpy as np
import pytest

import agents.hooks
from agents.agent import Agent
from agents.evaluation import Evaluation


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces evaluations by ones with these mean returns."""

    def replace(*values: float) -> None:
        left = iter(values)

        def both(agent: Agent, *_: object, **__: object) -> tuple[Evaluation, Evaluation]:
            returns = np.array([next(left)])
            return tuple(Evaluation(returns, np.ones(1, np.int64), mode, 0) for mode in (True, False))  # type: ignore[return-value]

        monkeypatch.setattr(agents.hooks, "evaluate_both", both)

    return replace
