"""Algorithms: A2C, PPO, streaming actor-critic, and the base classes for algorithms of your own."""

from importlib.util import find_spec
from pathlib import Path

if (  # the user's own folder
    (_envs := getattr(find_spec("envs"), "origin", None))
    and Path(_envs).resolve().parents[1] != Path(__file__).resolve().parents[1]
):
    raise ImportError(f"{_envs} hides the package 'envs' of actor-critic: rename it")

from agents.a2c import A2C
from agents.actor_critic import ActorCritic
from agents.agent import Agent
from agents.algorithm import Algorithm
from agents.ppo import PPO
from agents.streaming import StreamAC

__all__ = ["A2C", "PPO", "ActorCritic", "Agent", "Algorithm", "StreamAC"]
