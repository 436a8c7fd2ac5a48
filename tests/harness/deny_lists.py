"""A deny list as a text; tests say what it names."""

from __future__ import annotations

import json


def deny_list(**spec: object) -> str:
    """JSON on one line; nothing is revoked by what is not given. Keys are those of the file."""
    return json.dumps({"apiVersion": "deputize.dev/v1alpha1", "kind": "DenyList", "spec": spec})
