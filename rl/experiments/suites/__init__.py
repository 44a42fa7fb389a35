"""Many environments by one command."""
