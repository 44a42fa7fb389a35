"""One run: command line, training, run directory."""
