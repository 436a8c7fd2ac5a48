"""The running service: the shell around the core."""
