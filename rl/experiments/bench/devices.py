"""Benchmarks devices: training from images and with wide layers, on the CPU and on a CUDA device."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from agents import A2C
from agents.actor_critic import ActorCritic
from agents.machine import torch_threads
from agents.ppo import PPO
from envs import Variant, Worlds, make
from rl.experiments.bench.systems import Build, Passes, Run, Shape, stepping
from rl.experiments.bench.timing import Rates, interleaved
from rl.experiments.pages import Page, paragraph, table

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

GAME, MASS = "Pong-v5", "CartPole-v1"
FRAMES = {"repeat_action_probability": 0.0}
WIDTHS = (64, 256, 1024, 4096)
WIDE, PASSES = Shape(64, 32), Passes(512, 4)
OURS, SB3, ALONE = "ours", "SB3", "environments alone"
Measurements = Mapping[str, Mapping[str, Rates]]


class Case(NamedTuple):
    """What learns from images: A2C, or PPO with passes over each rollout."""

    shape: Shape
    passes: Passes | None = None

    def __str__(self) -> str:
        return f"{'PPO' if self.passes else 'A2C'}, {self.shape}"


CASES = (Case(Shape(16, 5)), Case(Shape(64, 5)), Case(Shape(8, 128), Passes(256, 4)))


def devices() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def measure(repeats: int, seconds: float, cases: Sequence[Case] = CASES) -> tuple[Measurements, Measurements]:
    """Case → system → rates from images, and width → device → rates of networks with two layers of that width."""
    images, widths = dict[str, Mapping[str, Rates]](), dict[str, Mapping[str, Rates]]()
    for case in cases:
        systems: dict[str, Build] = {ALONE: partial(_alone, case.shape)}
        for device in devices():
            systems[f"{OURS}, {device}"] = partial(_ours, case, device)
            systems[f"{SB3}, {device}"] = partial(_sb3, case, device)
        images[str(case)] = interleaved(systems, case.shape.rows, repeats, seconds, updates=2)
    for width in WIDTHS:
        wide: dict[str, Build] = {device: partial(_wide, width, device) for device in devices()}
        widths[str(width)] = interleaved(wide, WIDE.rows, repeats, seconds, updates=1)
    return images, widths


def page(images: Measurements, widths: Measurements, repeats: int, command: str, machine: str) -> Page:
    """The page; its columns for CUDA are there if it was measured."""
    found = [device for device in ("cpu", "cuda") if device in next(iter(widths.values()))]
    brings, threads = "", ""
    if "cuda" in found:
        brings = ", and what does a GPU bring"
        threads = "; with a GPU each has its default: ours one thread, Stable-Baselines3 torch's own number"
    question = f"""How fast is training from images and with wide layers{brings}?
        {_answer(images, widths)} Numbers are environment steps per second, medians of {repeats} repeats in which the
        systems took turns. The first table is {GAME} of envpool, four gray frames of 84 × 84 pixels, learned by the
        convolutional network of Mnih et al. 2015, which policy and value share. Stable-Baselines3 has the same
        environments, network and hyper-parameters. On the CPU both use {os.cpu_count()} threads of
        torch{threads}. envpool steps the environments in threads of its own, and "{ALONE}" is their speed with fixed
        actions."""
    systems = [ALONE, *(f"{name}, {device}" for device in found for name in (OURS, SB3))]
    heads = ["algorithm, environments × steps per update", *systems, *(f"**ours ÷ SB3, {device}**" for device in found)]
    rows = []
    for case, rates in images.items():
        ratios = [f"{rates[f'{OURS}, {d}'].median / rates[f'{SB3}, {d}'].median:.2f}" for d in found]
        rows.append([case, *(f"{rates[system].median:,.0f}" for system in systems), *ratios])
    about = f"""Two networks with two hidden layers each, by their width: PPO of the torch engine on {MASS} (compiled),
        {WIDE} steps per update, minibatches of {PASSES.size}, {PASSES.epochs} epochs."""
    wide = [
        [width, *(f"{rates[device].median:,.0f}" for device in found), *_gains(rates)]
        for width, rates in widths.items()
    ]
    numbers = {"repeats": repeats, "images": _plain(images), "widths": _plain(widths)}
    parts = [
        paragraph(question), table(heads, rows), paragraph(about),
        table(["units per layer", *found, *(["**cuda ÷ cpu**"] if brings else [])], wide),
    ]  # fmt: skip
    return Page("Devices", command, machine, parts, numbers)


def _answer(images: Measurements, widths: Measurements) -> str:
    of = [(rates[f"{OURS}, cpu"].median, rates.get(f"{OURS}, cuda")) for rates in images.values()]
    gains = [cuda.median / cpu for cpu, cuda in of if cuda]
    if not gains:
        ratios = [rates[f"{OURS}, cpu"].median / rates[f"{SB3}, cpu"].median for rates in images.values()]
        return f"From images, ours trains {min(ratios):.2f} to {max(ratios):.2f} times as fast as Stable-Baselines3."
    pays = [width for width, rates in widths.items() if rates["cuda"].median > rates["cpu"].median]
    wide = f"from {pays[0]} units per layer on" if pays else f"at none of the widths up to {[*widths][-1]}"
    beside = [rates[f"{OURS}, cuda"].median / rates[f"{SB3}, cuda"].median for rates in images.values()]
    return f"""From images, training is {min(gains):.1f} to {max(gains):.1f} times as fast on the GPU as on the CPU, and
        {min(beside):.2f} to {max(beside):.2f} times as fast as Stable-Baselines3 on the GPU; without images the GPU is
        faster {wide}."""


def _gains(rates: Mapping[str, Rates]) -> list[str]:
    return [f"{rates['cuda'].median / rates['cpu'].median:.2f}"] if "cuda" in rates else []


def _plain(measured: Measurements) -> dict[str, dict[str, list[float]]]:
    return {name: {system: rate.each for system, rate in rates.items()} for name, rates in measured.items()}


def _ours(case: Case, device: str) -> Run:
    settings: dict[str, Any] = {"num_envs": case.shape.envs, "n_steps": case.shape.steps, "net_arch": ()}
    settings |= {"backend": "envpool", "env_kwargs": FRAMES, "device": device, "threads": _threads(device)}
    if case.passes is None:
        return _training(A2C(GAME, **settings))
    return _training(PPO(GAME, batch_size=case.passes.size, n_epochs=case.passes.epochs, **settings))


def _wide(width: int, device: str) -> Run:
    return _training(PPO(
        MASS, num_envs=WIDE.envs, n_steps=WIDE.steps, batch_size=PASSES.size, n_epochs=PASSES.epochs, engine="torch",
        net_arch=(width, width), device=device, threads=_threads(device),
    ))  # fmt: skip


def _threads(device: str) -> int:
    return os.cpu_count() or 1 if device == "cpu" else 1


def _training(agent: ActorCritic) -> Run:
    def run(steps: int) -> None:
        agent.learn(steps)

    return run


def _sb3(case: Case, device: str) -> Run:
    import stable_baselines3 as sb3

    from rl.experiments.bench.vec_env import WorldsVecEnv

    envs = WorldsVecEnv(_worlds(case.shape))
    model: OnPolicyAlgorithm
    settings: dict[str, Any] = {
        "n_steps": case.shape.steps,
        "device": device,
        "seed": 0,
        "policy_kwargs": {"net_arch": []},
    }
    if case.passes is None:
        model = sb3.A2C("CnnPolicy", envs, **settings)
    else:
        model = sb3.PPO("CnnPolicy", envs, batch_size=case.passes.size, n_epochs=case.passes.epochs, **settings)

    def run(steps: int) -> None:
        with torch_threads(os.cpu_count() or 1):
            model.learn(steps, log_interval=10**9, reset_num_timesteps=False)

    return run


def _worlds(shape: Shape) -> Worlds:
    return make(GAME, shape.envs, backend="envpool", variant=Variant(env_kwargs=FRAMES))


def _alone(shape: Shape) -> Run:
    return stepping(_worlds(shape))
