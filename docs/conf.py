"""Settings of Sphinx for `make docs`: the repository is the source, so links between its files stay as they are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # of site_pages

import rl

project = "actor-critic"
author = copyright = "the actor-critic developers"  # noqa: A001 - Sphinx's name
version = release = rl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "site_pages"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = ["docs/**", "results/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
exclude_patterns = [".*", "docs/_build", "results/runs"]

myst_heading_anchors = 4  # as GitHub makes them
myst_enable_extensions = ["colon_fence"]

smartquotes = False  # flags keep their two hyphens

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
add_module_names = False

html_theme = "furo"
html_title = f"actor-critic {version}"
html_copy_source = html_show_sourcelink = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
