"""Generative adversarial nets on `rl.information`: value, optimal discriminator, losses, Algorithm 1.

`python -m rl.gan` trains them in one dimension, where everything is known. docs/gan.md has the equations.
"""

from rl.gan.losses import (
    LOG_4,
    Form,
    discriminator_loss,
    expected_value,
    generator_loss,
    jsd_estimate,
    optimal_logit,
    optimal_value,
    optimal_value_from_logits,
    value,
)  # fmt: skip
from rl.gan.training import Step, train

__all__ = [
    "LOG_4", "Form", "Step", "discriminator_loss", "expected_value", "generator_loss", "jsd_estimate", "optimal_logit",
    "optimal_value", "optimal_value_from_logits", "train", "value",
]  # fmt: skip
