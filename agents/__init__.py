"""Algorithms: A2C, and the base classes of an algorithm of your own."""

from agents.a2c import A2C
from agents.agent import Agent, Algorithm

__all__ = ["A2C", "Agent", "Algorithm"]
