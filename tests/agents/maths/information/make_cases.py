"""Writes cases.json, from the repository's root: python -m tests.agents.maths.information.make_cases

Each row contains a function of rl.information, its arguments (exact in the row's dtype), and the expected result, from
the defining formula in 50-digit arithmetic. `gradients` are those of Σ c_i · output_i, one list per argument (null: not
differentiable), with c = 1, 2, 3, …, or 0 where the output is infinite. The gradient at a logit of −inf is 0.
"""

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np

from tests.agents.maths.information.arguments import rows
from tests.agents.maths.information.formulas import FORMULAS

PATH = Path(__file__).with_name("cases.json")
FLOATS = {"float32": np.float32, "float64": np.float64}


def rounded(x, dtype):
    """Rounds floats to the nearest number of the dtype, as exact numbers; indices do not change."""
    if isinstance(x, list | tuple):
        return [rounded(v, dtype) for v in x]
    return x if isinstance(x, int) else float(FLOATS[dtype](x))


def exact(x):
    if isinstance(x, list):
        return [exact(v) for v in x]
    return mp.mpf(x) if isinstance(x, float) else x


def encode(x, digits=25):
    """Numbers as decimal strings, infinite arguments as strings."""
    if isinstance(x, list):
        return [encode(v, digits) for v in x]
    return x if x is None else "inf" if x == mp.inf else mp.nstr(mp.mpf(x), digits, min_fixed=-5, max_fixed=8)


def arguments_of(x):
    if isinstance(x, list):
        return [arguments_of(v) for v in x]
    return str(x) if isinstance(x, float) and math.isinf(x) else x


def formula(function, inputs, keywords):
    """Evaluates in 50 digits; a gradient that changes with 80 digits is a 0 that did not cancel completely."""
    value, gradients = FORMULAS[function](*exact(inputs), **keywords)
    with mp.workdps(80):
        _, again = FORMULAS[function](*exact(inputs), **keywords)
    return value, settled(gradients, again)


def settled(x, y):
    if isinstance(x, list):
        return [settled(a, b) for a, b in zip(x, y, strict=True)]
    return x if x is None or abs(x - y) <= 1e-9 * abs(x) else mp.mpf(0)


def case(function, label, arguments, keywords, dtype):
    """One row of the table; large gradients are left out, since they would dominate the file."""
    inputs = rounded(arguments, dtype)
    value, gradients = formula(function, inputs, keywords)
    row = {"function": function, "case": label, "dtype": dtype, "arguments": arguments_of(inputs)}
    row |= {"keywords": keywords} if keywords else {}
    row |= {"value": encode(value, 16 if function == "tanh_gaussian_entropy" else 25)}
    return row | ({"gradients": encode(gradients, 20)} if gradients and label != "hundred" else {})


def text():
    with mp.workdps(50):
        cases = [case(*row, dtype) for row in rows() for dtype in FLOATS]
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in cases]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
