"""Compares our updates with Stable-Baselines3's."""
