"""A search's file, study.log: Optuna's journal. A search resumes only if all that its scores depend on is unchanged."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agents.settings.values import ConfigError, plain, text_of
from agents.writing import naming
from rl.experiments.search.space import Space

if TYPE_CHECKING:
    import optuna

_FILE = "study.log"
LOCK = f"{_FILE}.lock"  # symbolic link that Optuna uses as a lock


def open_study(
    directory: Path, space: Space, about: Mapping[str, object], defaults: Mapping[str, object]
) -> "optuna.Study":
    """The directory's study, created if it has none. Raises ConfigError if it is damaged, or of another search.

    about: everything besides the space that scores depend on. defaults: its values where an older search lacks them.
    """
    study = _opened(directory / _FILE)
    before, now = study.user_attrs.get("about"), _described(space, about)
    if before is None:
        study.set_user_attr("about", now)
    else:
        _refuse_another(directory, before, now, _described({}, defaults))
    return study


def _opened(file: Path) -> "optuna.Study":
    import optuna
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, object]]) -> None:
            with naming(file):
                super().append_logs(logs)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.with_name(LOCK).unlink(missing_ok=True)  # left by a killed process
    _cut_incomplete_line(file)
    try:
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(Journal(str(file))),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, LookupError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); delete it to begin anew") from None


def _cut_incomplete_line(file: Path) -> None:
    """Removes what a full disk or a power failure left of a line: Optuna would append to it, and then read neither."""
    if file.is_file():
        content = file.read_bytes()
        if content.startswith(b"{") and not content.endswith(b"\n"):
            with naming(file):
                os.truncate(file, content.rfind(b"\n") + 1)


def _refuse_another(
    directory: Path, before: Mapping[str, object], about: Mapping[str, object], defaults: Mapping[str, object]
) -> None:
    """Raises ConfigError if what scores depend on is no longer what it was `before`."""
    before = {**{key: defaults[key] for key in about if key in defaults}, **before}
    for key in {**about, **before}:
        was, now = (text_of(each[key]) if key in each else "not there" for each in (before, about))
        if (key in before, was) != (key in about, now):
            raise ConfigError(
                f"{directory} holds another search: its {key} is {was}, now {now}; give this one another --name"
            )


def _described(space: Space, about: Mapping[str, object]) -> dict[str, object]:
    """Space and `about` as JSON returns them."""
    about = {key: plain(value) for key, value in about.items()}
    forms = {f"space: {key}": str(form) for key, form in space.items()}
    return cast("dict[str, object]", json.loads(json.dumps({**about, **forms})))
