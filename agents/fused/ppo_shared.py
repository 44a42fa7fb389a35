"""`SharedPPO`: the memory of PPO's kernels."""

import numpy as np
from numpy.typing import NDArray

from agents.fused import memory as layout
from agents.fused.arrays import zeros
from agents.fused.memory import PPOScratch, Scratch
from agents.fused.shared import Shared
from agents.learner import Learner
from agents.minibatches import Shuffle
from agents.settings.ppo import SCHEDULED, PPOSettings


class SharedPPO(Shared):
    """`Shared`, with the settings and the scratch space of epochs and minibatches."""

    names = (*layout.METRICS, "clip_fraction", "approx_kl")
    scheduled, report = SCHEDULED, layout.report_type(names)
    options_type = layout.options_type(
        SCHEDULED, ("batch_size", np.int64), ("n_epochs", np.int64), ("target_kl", np.float64), ("shorten", np.bool_),
        ("penalized", np.bool_),
    )  # fmt: skip

    def __init__(self, learner: Learner, settings: PPOSettings, shuffle: Shuffle) -> None:
        super().__init__(learner)
        self.ppo, self.shuffle = settings, shuffle

    def scratch(self, scratch: Scratch, inputs: int) -> PPOScratch:
        rows = scratch.advantage.size
        part, everywhere = min(self.ppo.batch_size, rows), rows * self.learner.ranks.count
        x = zeros(part, inputs)
        return PPOScratch(
            *scratch, x, layout.new_features(scratch.trunk, x), zeros(part), np.zeros(part), zeros(rows),
            np.zeros(rows), np.zeros(everywhere, np.uint64), np.zeros(everywhere, np.int64), np.zeros(8),
            self.shuffle.state,
        )  # fmt: skip

    def options(self) -> NDArray[np.void]:
        options, settings = super().options(), self.ppo
        options["batch_size"], options["n_epochs"] = settings.batch_size, settings.n_epochs
        options["target_kl"] = np.inf if settings.target_kl is None else settings.target_kl
        options["shorten"], options["penalized"] = settings.shift_excess == "shorten", settings.penalized
        return options
