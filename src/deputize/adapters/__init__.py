"""One outside thing each; they know the core's values and nothing of each other."""
