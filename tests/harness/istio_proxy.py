"""A real Envoy with what Istio would send it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.envoy_bootstrap import ProxyOptions, Yaml
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.istio_bootstrap import Surroundings, bootstrap


class IstioProxy(EnvoyProxy):
    """A context, as any `EnvoyProxy`; `sent` is what `istio_config.generate` gives."""

    def __init__(self, sent: Mapping[str, Any], around: Surroundings, folder: Path) -> None:
        svid = around.certificates["default"]
        options = ProxyOptions(
            deputize=[], upstream_port=0, server=svid, client_authority=around.authority
        )
        super().__init__(options, folder)
        self._sent = sent
        self._around = around

    def bootstrap(self, access_log: Path) -> Yaml:  # noqa: ARG002 - Istio says what is logged
        return bootstrap(self._sent, self._around)
