"""What a JSON Schema is in these scripts."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
