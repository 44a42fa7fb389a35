"""Generative adversarial nets where everything is known."""
