"""Gateways of the Gateway API: what is attached to which, and whom their listeners let in.

Source: Gateway API `apis/v1/gateway_types.go` (frontend TLS), `apis/v1/shared_types.go`
(ParentReference); istio `gateway.istio.io/tls-terminate-mode`.
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.manifests import Manifest, is_same_namespace
from deputize.doctor.place import At
from deputize.doctor.world import GATEWAY_API, World

_TERMINATE = "gateway.istio.io/tls-terminate-mode"
_PROVEN_MODES = frozenset({"MUTUAL", "ISTIO_MUTUAL"})
_LAX_VALIDATION = "AllowInsecureFallback"


def target_refs(policy: Manifest) -> list[At]:
    """What a policy is attached to, other than by labels."""
    one = policy.spec["targetRef"]
    return [*policy.spec["targetRefs"].items, *([one] if one.exists else [])]


def gateways_of(manifest: Manifest, world: World) -> list[Manifest]:
    """The Gateways a policy or route is attached to, itself or by a route."""
    refs = target_refs(manifest)
    names = {ref["name"].text for ref in refs if ref["kind"].text == "Gateway"}
    routes = {ref["name"].text for ref in refs if ref["kind"].text.endswith("Route")}
    parents = [*manifest.spec["parentRefs"].items]
    for route in world.of(GATEWAY_API, "HTTPRoute"):
        if route.name in routes and is_same_namespace(route.namespace, manifest.namespace):
            parents += route.spec["parentRefs"].items
    names |= {ref["name"].text for ref in parents}
    return [each for each in world.of(GATEWAY_API, "Gateway") if each.name in names]


def find_open_listeners(gateway: Manifest) -> Iterator[Finding]:
    """HTTPS listeners of a Gateway that take clients without a certificate."""
    frontend = gateway.spec.dig("tls", "frontend")
    default = frontend.dig("default", "validation")
    ports = {
        entry["port"].whole: entry.dig("tls", "validation") for entry in frontend["perPort"].items
    }
    for listener in gateway.spec["listeners"].items:
        validation = ports.get(listener["port"].whole, default)
        is_strict = validation.exists and validation["mode"].text != _LAX_VALIDATION
        mode = listener.dig("tls", "options", _TERMINATE).text
        # Before it stood in `spec.tls`.
        own = listener.dig("tls", "frontendValidation")
        is_proven = is_strict or mode in _PROVEN_MODES or own.exists
        if listener["protocol"].text == "HTTPS" and not is_proven:
            cause = f"listener {listener['name'].text} asks for no client certificate"
            yield at_place(listener["tls"], Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)
