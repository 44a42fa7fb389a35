"""Environments of packages that this project does not know, each trained by one command without a recipe."""
