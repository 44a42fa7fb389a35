"""docs/metrics.md names every metric that the code records."""

import ast
import re

from agents.imitation import gail
from rl.run.glossary import METRICS, page
from tests import ROOT

NAME = re.compile(r"(train|rollout|validation|gail|time)/[a-z_]+")


def recorded() -> set[str]:
    """The strings in agents/ and rl/run/ that are names of metrics."""
    files = [*(ROOT / "agents").rglob("*.py"), *(ROOT / "rl" / "run").glob("*.py")]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files if file.name != "glossary.py"]
    text = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    names = {value for value in text if isinstance(value, str) and NAME.fullmatch(value)}
    return names | {f"gail/{name}" for name in gail._METRICS} | {"train/policy_shift_kl_max"}


def test_the_glossary_has_every_metric() -> None:
    assert {name for name in METRICS if "/" in name} == recorded()


def test_the_page_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert text == page(), "python -m rl.run.glossary > docs/metrics.md"
