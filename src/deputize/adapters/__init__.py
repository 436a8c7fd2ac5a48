"""One outside thing each; they know the core's values.

Of each other they know only helpers: `http_fetch.py` for key sources, `presentation.py` for
answers.
"""
