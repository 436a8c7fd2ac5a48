"""Lints: what is allowed in policies, and hardly meant. `deputize validate --strict` asks them."""
