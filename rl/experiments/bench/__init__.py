"""The benchmark: how fast training is."""
