"""Algorithms that wrap an A2C."""
