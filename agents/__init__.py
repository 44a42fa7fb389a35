"""Algorithms: A2C, and the base classes of an algorithm of your own."""

from agents.a2c import A2C
from agents.actor_critic import ActorCritic
from agents.agent import Agent
from agents.algorithm import Algorithm

__all__ = ["A2C", "ActorCritic", "Agent", "Algorithm"]
