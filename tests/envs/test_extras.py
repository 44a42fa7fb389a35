"""The install commands for extras, by the way the package was installed."""

from importlib import metadata
from pathlib import Path

import pytest

import envs.extras
from envs.extras import install_command


class Installed:
    """A fake installed package."""

    def __init__(self, recorded: str | None) -> None:
        self.recorded = recorded

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.recorded


@pytest.mark.parametrize(
    ("recorded", "command"),
    [
        (None, "pip install 'actor-critic[video]'"),
        ('{"url": "file:///a%20b/c", "dir_info": {"editable": true}}', "pip install --editable '/a b/c[video]'"),
        ('{"url": "file:///a/c", "dir_info": {}}', "pip install '/a/c[video]'"),
        ('{"url": "file:///w.whl", "archive_info": {}}', "pip install 'actor-critic[video] @ file:///w.whl'"),
        (
            '{"url": "https://x.y/z", "vcs_info": {"vcs": "git", "commit_id": "0"}}',
            "pip install 'actor-critic[video] @ git+https://x.y/z'",
        ),
    ],
)
def test_the_command_names_where_the_package_came_from(
    recorded: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs.extras, "distribution", lambda name: Installed(recorded))
    assert install_command("video") == command


def test_a_folder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(envs.extras, "distribution", absent)
    assert install_command("video") == f"pip install '{Path(envs.extras.__file__).parents[1]}[video]'"
