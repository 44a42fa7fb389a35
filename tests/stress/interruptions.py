"""Trainings that are killed, interrupted or out of disk space, then completed: nothing is lost or different."""

import random
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

from tests.stress.faults import AtCall, AtFileOperation, Done, Fault, FullDisk, send, train
from tests.stress.trainings import TRAININGS, completed, disturbed, remove, undisturbed


def kill(number: int, room: Path) -> str:
    """SIGKILL before a random file operation or while rows are written; again when the run is resumed."""
    draw, training, inside = random.Random(f"kill {number}"), TRAININGS[number % len(TRAININGS)], room / str(number)
    expected = undisturbed(training, room, AtFileOperation)
    fault = AtFileOperation(draw.randint(1, expected.moments), send(SIGKILL))
    done = disturbed(training, room, inside, fault)
    for run in inside.glob("*/*/*/checkpoints"):
        if draw.random() < 0.5 and done.status == -SIGKILL:
            again = AtFileOperation(draw.randint(1, expected.moments), send(SIGKILL))
            done = train(["--resume", str(run.parent)], inside, again)
            assert "Traceback" not in done.err, done
    result = completed(training.argv(room), inside, expected.run)
    remove(inside)
    return result


def signal_(number: int, room: Path) -> str:
    """SIGINT or SIGTERM at a random Python call: the right exit status, and at most one line."""
    draw, training, inside = random.Random(f"signal {number}"), TRAININGS[number % len(TRAININGS)], room / str(number)
    expected = undisturbed(training, room, AtCall)
    sent = draw.choice([SIGINT, SIGTERM])
    done = disturbed(training, room, inside, AtCall(draw.randint(1, expected.moments), send(sent)))
    assert done.status in (128 + sent, 0), done
    assert done.err in ("", "interrupted\n", "terminated\n"), done
    result = completed(training.argv(room), inside, expected.run)
    remove(inside)
    return result


def full_disk(number: int, room: Path) -> str:
    """No file grows beyond a random size: one line that names a file; completed once there is space."""
    draw, training, inside = random.Random(f"disk {number}"), TRAININGS[number % len(TRAININGS)], room / str(number)
    expected = undisturbed(training, room, Fault)
    sizes = [path.stat().st_size for path in expected.run.rglob("*") if path.is_file()]
    limit = draw.choice([draw.choice(sizes) - draw.randint(0, 40), draw.randint(0, max(sizes))])
    done = disturbed(training, room, inside, FullDisk(max(limit, 0)))
    assert done.status == 0 or _one_line_with_a_path(done, inside), done
    result = completed(training.argv(room), inside, expected.run)
    remove(inside)
    return result


def _one_line_with_a_path(done: Done, inside: Path) -> bool:
    return done.status == 1 and done.err.count("\n") == 1 and str(inside) in done.err
