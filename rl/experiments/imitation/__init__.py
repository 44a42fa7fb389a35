"""Cloning, GAIL, distillation and mutual learning over seeds."""
