"""Accuracy and speed of the information module."""
