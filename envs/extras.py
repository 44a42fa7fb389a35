"""How to install the optional packages from the same source as this package."""

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = "actor-critic"


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation, from a folder (editable or not), a URL or an index."""
    try:
        recorded = distribution(_NAME).read_text("direct_url.json")  # PEP 610; absent if it came from an index
    except PackageNotFoundError:  # imported from a folder that is not installed
        recorded = json.dumps({"url": Path(__file__).parents[1].as_uri(), "dir_info": {}})
    source = json.loads(recorded or "{}")
    folder, url = source.get("dir_info"), source.get("url", "")
    if folder is not None:
        option = "--editable " if folder.get("editable") else ""
        return f"pip install {option}{shlex.quote(f'{unquote(urlsplit(url).path)}[{extra}]')}"
    if "vcs_info" in source:
        url = f"{source['vcs_info']['vcs']}+{url}"
    return f"pip install {shlex.quote(f'{_NAME}[{extra}]' + (f' @ {url}' if url else ''))}"
