"""Environments of packages unknown to this project, each trained by one command without a recipe."""
