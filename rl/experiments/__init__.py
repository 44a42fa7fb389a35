"""Experiments over many runs, and the pages and figures that they write into results/."""
