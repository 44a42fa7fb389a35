"""Malicious input and failures, drawn at random from fixed seeds: few in `make test`, many in `make stress`."""
