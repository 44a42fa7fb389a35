"""Entropy, divergences and cross-entropy of policies, in nats: accurate for nearly equal and nearly certain policies.

Functions take and return tensors, float32 or float64. The last dimension is reduced, leading dimensions are a batch
and broadcast. Nearly all take `base` of the logarithm (default e), `reduction` over the batch ("none", "mean", "sum")
and `validate=False`, which skips the checks in a hot path. docs/information.md lists the equations.
"""

from agents.maths.information.bernoulli import (
    bernoulli_entropy,
    bernoulli_entropy_from_logits,
    bernoulli_kl_from_logits,
    log_sigmoid,
)
from agents.maths.information.categorical import (
    cross_entropy_from_logits,
    entropy_from_logits,
    js_from_logits,
    kl_from_logits,
)
from agents.maths.information.gaussian import (
    gaussian_entropy,
    gaussian_kl,
    gaussian_log_prob,
    log_tanh_slope,
    tanh_gaussian_entropy,
)
from agents.maths.information.logits import log_softmax, softmax
from agents.maths.information.losses import cross_entropy_loss, nll_loss
from agents.maths.information.probabilities import (
    cross_entropy,
    entropy,
    js,
    kl,
    kl_k1,
    kl_k2,
    kl_k3,
    mutual_information,
    self_information,
)
from agents.maths.information.products import (
    generalized_js_from_logits,
    product_entropy_from_logits,
    product_js_from_logits,
    product_kl_from_logits,
)

__all__ = [
    "bernoulli_entropy", "bernoulli_entropy_from_logits", "bernoulli_kl_from_logits", "cross_entropy",
    "cross_entropy_from_logits", "cross_entropy_loss", "entropy", "entropy_from_logits", "gaussian_entropy",
    "gaussian_kl", "gaussian_log_prob", "generalized_js_from_logits", "js", "js_from_logits", "kl", "kl_from_logits",
    "kl_k1", "kl_k2", "kl_k3", "log_sigmoid", "log_softmax", "log_tanh_slope", "mutual_information", "nll_loss",
    "product_entropy_from_logits", "product_js_from_logits", "product_kl_from_logits", "self_information", "softmax",
    "tanh_gaussian_entropy",
]  # fmt: skip
