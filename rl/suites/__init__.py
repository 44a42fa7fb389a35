"""Suites: many environments trained with one command, and one table of them all."""
