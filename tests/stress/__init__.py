"""Hostile input and failures, drawn at random from fixed seeds: short in `make test`, long in `make stress`."""
