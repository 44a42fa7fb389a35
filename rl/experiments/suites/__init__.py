"""Suites: many environments trained by one command."""
