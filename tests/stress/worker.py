"""`python -m tests.stress.worker KIND NUMBER…`: makes attacks of one kind, and prints the outcome of each as JSON."""

import json
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from tests.stress.kinds import KINDS

BROKEN = "BROKEN"


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # keeps the attacks' prints out of the answers
    os.dup2(2, 1)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "builtin type .* has no __module__")  # Box2D crashes if its import raises this
    with answers, tempfile.TemporaryDirectory(prefix="stress-") as room:
        for number in map(int, sys.argv[2:]):
            try:
                outcome, report = KINDS[sys.argv[1]].attack(number, Path(room)), ""
            except BaseException as error:
                outcome, report = BROKEN, "".join(traceback.format_exception(error))
            print(json.dumps([number, outcome, report]), file=answers, flush=True)


if __name__ == "__main__":
    main()
