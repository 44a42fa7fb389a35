"""The figure of a suite. `test_zoo.py` and `test_unseen.py` draw complete figures."""

import pytest
from matplotlib.figure import Figure

from rl.experiments.suites.figure import _set_scale


@pytest.mark.parametrize(
    ("returns", "scale"),
    [([-13, -57_000], "symlog"), ([-106, -5_000], "linear"), ([1, -57_000], "linear"), ([13, 57_000], "linear")],
)
def test_negative_returns_of_many_decades_are_drawn_on_a_logarithmic_axis(returns: list[float], scale: str) -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], returns)
    _set_scale(axes)
    assert axes.get_yscale() == scale
    assert (-10.0 in axes.get_yticks()) == (scale == "symlog")
