"""`python -m rl.train --list`: the agents, recipes and compiled environments."""

from agents import registry
from agents.settings.recipes import recipe_ids
from envs.backends.native import WORLDS


def listing() -> str:
    """One line per kind, laid out like a run's header."""
    lines = {
        "agents": f"{', '.join(registry.NAMES)}, and your own module:Class",
        "recipes": ", ".join(recipe_ids()),
        "compiled": ", ".join(WORLDS),
        "others": "every environment that Gymnasium registers, and your own module:Env-v0",
    }
    return "\n".join(f"{title:>12}  {text}" for title, text in lines.items())
