"""Stress tests: hostile input, drawn at random from fixed seeds. Short in `make test`, longer with --long."""
