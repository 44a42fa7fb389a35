"""The report as one HTML file: JSON data, a script that draws it, and styles for light and dark mode."""

import json
from collections.abc import Mapping
from pathlib import Path

_FOLDER, _PARTS = Path(__file__).parent, ("report.css", "chart.js", "report.js")
_REFRESH = 3  # seconds between reloads of a served page


def html(content: Mapping[str, object], live: bool = False) -> str:
    """live: whether the page asks its server for new data."""
    data = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")  # hides </script>
    style, chart, report = ((_FOLDER / name).read_text(encoding="utf-8") for name in _PARTS)
    connect = "'self'" if live else "'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; img-src data:; media-src data:; connect-src {connect}">
<title>{_escaped(str(content["title"]))}</title>
<style>
{style}</style>
</head>
<body data-refresh="{_REFRESH if live else 0}">
<main id="report"><noscript>This report is drawn by a script, which this browser does not run.</noscript></main>
<script type="application/json" id="data">{data}</script>
<script>
{chart}
{report}</script>
</body>
</html>
"""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
