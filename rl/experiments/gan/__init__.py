"""Generative adversarial nets whose optima are known."""
