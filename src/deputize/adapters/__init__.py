"""One outside thing each; they know the core's values.

Those that the contract in `pyproject.toml` names know nothing of each other. What several of them
need is in files that know no outside thing (`presentation.py`, `ending.py`, `shown_url.py`), or
that have one apart (`bounded_http.py` and `http_fetch.py` for what asks over HTTP).
"""
