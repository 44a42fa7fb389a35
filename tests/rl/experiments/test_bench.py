"""The benchmark measures and writes what it says; no test makes a claim about speed."""

import subprocess
import sys
from pathlib import Path

import pytest

import rl.bench
from agents.hooks import Hook
from rl.experiments.bench import cores, devices, page, ppo, streaming, systems, timing, watching
from rl.experiments.bench.rank import Measured, Task
from rl.experiments.bench.systems import Shape
from rl.run.terminal import RunFailed
from tests.conftest import Command


def rates(*each: float) -> dict[str, object]:
    return {"median": sorted(each)[len(each) // 2], "each": list(each)}


CONTENT = {
    "shapes": {
        shape: {
            name: rates(speed, speed, 2 * speed)
            for name, speed in {
                page.SB3: 1000.0, page.TORCH: 2000.0, page.FUSED: 50_000.0, page.GYMNASIUM: 9000.0,
                page.NATIVE: 90_000.0, page.LIMIT: 200_000.0,
            }.items()
        }
        for shape in ("8 × 1", "8 × 5")
    },
    "python": {"CartPole-v1, 8 × 1": {name: rates(1000.0) for name in ("random", "fused", "torch", "SB3")}},
    "seeds": {"ours, fused, threads": rates(3e6), "ours, fused, processes": rates(4e6), "SB3, processes": rates(2e4)},
    "rejax": {"8 × 5": rates(7e4), "16 seeds of 8 × 5": rates(1e6)},
    "shell": [
        {"command": f"python -m rl.{name}", "seconds": 3.25, "solved_at": solved, "score": 499.5}
        for name, solved in (("train", 80_000), ("train", 80_000), ("baseline", None))
    ],
    "repeats": 3,
}  # fmt: skip


@pytest.mark.parametrize("page_of", [("--of", "cores"), ("--agent", "ppo"), ("--agent", "stream")])
def test_jax_is_refused_where_no_page_holds_rejax(page_of: tuple[str, str], command: Command) -> None:
    status, out, err = command(rl.bench, *page_of, "--jax", "python")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--jax is for the page of a2c: leave it out beside {page_of[0]}" in err


def test_seconds_are_refused_where_whole_runs_are_timed(command: Command) -> None:
    status, out, err = command(rl.bench, "--of", "watching", "--seconds", "3")
    assert (status, out) == (2, "")
    assert "--of watching times whole runs: leave --seconds out" in err


def test_tables() -> None:
    text = str(page.page(CONTENT, "python -m rl.bench", "a machine"))
    assert "| ours, fused | 50,000 | 50,000 |" in text
    assert "| rejax |  | 70,000 |" in text
    assert "| **ours, fused ÷ SB3** | 50 | 50 |" in text
    assert "| **ours, fused ÷ matrix products only** | 0.25 | 0.25 |" in text
    assert "| SB3, processes | 20,000 | 200.00 |" in text
    assert "| rejax, vmap over seeds | 1,000,000 | 4.00 |" in text
    assert "| CartPole-v1, 8 × 1 | 1,000 | 1,000 | 1,000 | 1,000 | 1.00 |" in text
    assert "| `python -m rl.baseline` |  | 3.2 | not solved | 499.5 |" in text


def test_streaming_page() -> None:
    rates = {
        "CartPole-v1": {
            name: timing.Rates([rate]) for name, rate in zip(
                ("stepping only, Gymnasium", "torch, λ = 0", "fused, λ = 0", "fused, λ = 0.8"),
                (100_000.0, 1_000.0, 150_000.0, 120_000.0), strict=True,
            )
        }
    }  # fmt: skip
    whole = timing.Whole("python -m rl.train CartPole-v1 --agent stream", 3.2, None, 500.0)
    text = str(streaming.page(rates, whole, 5, "python -m rl.bench --agent stream", "a machine"))
    assert "| CartPole-v1 | 100,000 | 1,000 | 150,000 | 120,000 | 150 | 1.50 |" in text
    assert "took 3.2 s, with imports" in text


def test_ppo_page() -> None:
    names, medians = (
        (ppo.STEPPING, ppo.PRODUCTS, ppo.SB3, ppo.TORCH, ppo.FUSED),
        (30_000.0, 60_000.0, 1_000.0, 2_000.0, 18_000.0),
    )
    each = {name: timing.Rates([rate]) for name, rate in zip(names, medians, strict=True)}
    rates = {(env_id, ppo.SETTINGS[1]): each for env_id in ppo.ENVIRONMENTS[:2]}
    text = str(ppo.page(rates, 5, "python -m rl.bench --agent ppo", "a machine"))
    columns = "30,000 | 60,000 | 1,000 | 2,000 | 18,000 | 18.00 | 2.00 | 0.60"
    assert f"| CartPole-v1 | 1 × 2048, 10 epochs, minibatches of 64 | {columns} | 0.30 |" in text
    assert f"| LunarLander-v3 | 1 × 2048, 10 epochs, minibatches of 64 | {columns} | 0.90 |" in text


def test_cores_page() -> None:
    one, two = Measured(20_000.0, 0.0, 0.0, 11_085), Measured(36_000.0, 0.04, 2.5e-4, 11_085)
    slow = (cores.IN_TURN, cores.ONE, cores.ASYNC)
    fast = (cores.THREADS, cores.RANKS, cores.SOCKETS, cores.APART)
    cases = {"fused, 8 × 64": {**{name: [one] for name in slow}, **{name: [two] for name in fast}}}
    widths = {"64": {cores.RANKS: [two], cores.SOCKETS: [two._replace(share=0.2, sum_seconds=2e-3)]}}
    text = str(cores.page(cases, widths, (150_000, [0.01]), 1, "python -m rl.bench --of cores", "a machine"))
    assert "| two ranks | 36,000 | 1.80 |" in text
    assert "| environments in processes | 20,000 | 1.00 |" in text
    assert "| 11,085 | 0.044 MB | 0.25 ms | 4 % | 2.00 ms | 20 % |" in text
    assert "of 0.15 MB here, to this disk takes the driver 10.0 ms" in " ".join(text.split())
    assert (
        "Two threads train 1.80 to 1.80 times as fast; two ranks train 1.80 to 1.80 times as fast; environments in "
        "processes train 1.00" in " ".join(text.split())
    )


def rates_of(**medians: float) -> dict[str, timing.Rates]:
    return {name.replace("_", ", "): timing.Rates([rate]) for name, rate in medians.items()}


@pytest.mark.parametrize("gpu", [False, True])
def test_devices_page(gpu: bool) -> None:
    images = rates_of(ours_cpu=1500.0, SB3_cpu=1000.0) | {devices.ALONE: timing.Rates([9000.0])}
    wide = rates_of(cpu=2000.0)
    if gpu:
        images, wide = images | rates_of(ours_cuda=4500.0, SB3_cuda=3000.0), wide | rates_of(cuda=1000.0)
    text = " ".join(str(devices.page({"A2C, 16 × 5": images}, {"64": wide}, 3, "a command", "a machine")).split())
    if gpu:
        assert "3.0 to 3.0 times as fast on the GPU as on the CPU, and 1.50 to 1.50 times as fast" in text
        assert "the GPU is faster at none of the widths up to 64." in text
        assert "| A2C, 16 × 5 | 9,000 | 1,500 | 1,000 | 4,500 | 3,000 | 1.50 | 1.50 | " in text
    else:
        assert "From images, ours trains 1.50 to 1.50 times as fast as Stable-Baselines3." in text
        assert "GPU" not in text.split("Numbers are")[0]


@pytest.mark.slow
def test_devices_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "WIDTHS", (8,))
    cases = (devices.Case(systems.Shape(2, 2)), devices.Case(systems.Shape(2, 4), systems.Passes(4, 1)))
    images, widths = devices.measure(1, 0.1, cases)
    assert [*images] == ["A2C, 2 × 2", "PPO, 2 × 4"]
    for rates in (*images.values(), *widths.values()):
        assert all(rate.median > 0 for rate in rates.values())


@pytest.mark.slow
def test_watching_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one log, since W&B leaves a process behind that later tests would share."""
    monkeypatch.setattr(watching, "logs", lambda: ["tensorboard"])
    monkeypatch.setenv("TRACKIO_DIR", "")  # restored afterwards
    runs = watching.measure(1, {"torch": watching.Length(800, 200)})
    (run,) = runs["torch"]
    assert all(seconds > 0 for seconds in (run.training, *run.hooks.values()))
    text = str(watching.page(runs, "python -m rl.bench --of watching", "a machine"))
    assert "| torch | 60,000 | 10,000 |" in text
    assert "nan" not in text


def test_a_clock_counts_no_second_twice() -> None:
    clock, inner, outer = watching.Clock(), Hook(), Hook()
    ticks = iter((0, 1, 4, 10))  # outer begins, inner begins and ends, outer ends
    inner.on_end = lambda training: None  # type: ignore[method-assign]
    clock.count(inner, watching.BEST)
    outer.on_begin = lambda training: inner.on_end(training)  # type: ignore[method-assign]
    clock.count(outer, watching.GOALS, ("on_begin",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching.time, "perf_counter", lambda: next(ticks))
        outer.on_begin(None)  # type: ignore[arg-type]
    assert (clock.seconds[watching.GOALS], clock.seconds[watching.BEST]) == (7, 3)


@pytest.mark.slow
def test_ranks_are_timed() -> None:
    task = Task("CartPole-v1", 2, 4, "torch", "sync", 8, 0.01)
    alone, together = (cores.measured(task, ranks) for ranks in (1, 2))
    assert alone.rate > 0
    assert (alone.share, alone.sum_seconds) == (0, 0)
    assert 0 < together.share < 1
    assert together.sum_seconds > 0
    assert together.parameters == alone.parameters


@pytest.mark.slow
def test_streams_are_timed() -> None:
    (rates,) = streaming.measure(["CartPole-v1"], 1, 0.01).values()
    assert list(rates) == ["stepping only, Gymnasium", "torch, λ = 0", "fused, λ = 0", "fused, λ = 0.8"]
    assert all(each.median > 0 for each in rates.values())


def test_figure(tmp_path: Path) -> None:
    page.draw(CONTENT, tmp_path / "bench")
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    assert (tmp_path / "bench.pdf").exists()


def test_systems_take_turns() -> None:
    calls: list[str] = []

    def build(name: str) -> systems.Run:
        def run(steps: int) -> None:
            assert steps % 40 == 0
            calls.append(name)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_steps_in", lambda run, unit, seconds, updates: 80)
        measured = timing.interleaved({name: lambda name=name: build(name) for name in "ab"}, 40, 3, 0.1)
    assert calls == ["a", "b"] * 3
    assert [len(rate.each) for rate in measured.values()] == [3, 3]


@pytest.mark.slow
def test_every_system_runs() -> None:
    shape = Shape(2, 3)
    runs = [systems.stable_baselines(shape), systems.gymnasium(shape), systems.native(shape), systems.products(shape)]
    for run in (*runs, systems.ours("fused", shape), systems.ours("torch", shape)):
        run(60)


def test_a_rival_that_is_not_there_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'jax'\" >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(RunFailed, match=r"python cannot run rejax: .*No module named 'jax'"):
        timing.rival(str(python), 1)


@pytest.mark.slow
def test_warm() -> None:
    done = subprocess.run([sys.executable, "-m", "rl.bench", "--warm"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("the kernels are on disk\n")
