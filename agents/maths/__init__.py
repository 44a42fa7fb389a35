"""Tensors in, tensors out: distributions, divergences, returns, normalizers, schedules, GANs."""
