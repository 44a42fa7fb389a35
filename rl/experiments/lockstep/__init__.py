"""Our updates beside Stable-Baselines3's."""
