"""Proxies of a mesh that ask, and are not among those who may.

Sources: istio `security/v1beta1/authorization_policy.proto` (a principal, its first or its last
part); `pilot/pkg/security/trustdomain/bundle.go` (`cluster.local` stands for the trust domain of
the mesh); `pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go` (accounts of gateways).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.callers import ALLOW, is_in_mesh, reaches_checks, targets_us
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_mesh import asks_service, mesh_settings, our_policies
from deputize.doctor.istio_peers import WAYPOINT_CLASS
from deputize.doctor.istio_policies import selected, selects
from deputize.doctor.listeners import target_refs
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At
from deputize.doctor.pods import Workload
from deputize.doctor.unasked_mesh import has_proxy
from deputize.doctor.world import GATEWAY_API, ISTIO_SECURITY, World

_ACCOUNT = "gateway.istio.io/service-account"
_GATEWAY_ACCOUNTS = {WAYPOINT_CLASS: "{}", "istio": "{}-istio"}
_MANAGED_ADDRESSES = frozenset({"", "IPAddress"})
_LOCAL = "cluster.local"


def find_unlisted(world: World) -> Iterator[Finding]:
    """Workloads and gateways that a policy lets ask, and that nothing before us lets in."""
    settings = world.settings
    if settings is not None and settings.open_listen is None:
        # Whoever asks runs beside it, and what guards a port is not in the way.
        return
    guards = _guards(world)
    domains = {domain for mesh in mesh_settings(world) for domain in _domains(mesh)}
    for policy in our_policies(world) if guards else ():
        for account, at in _asking(policy, world) if asks_service(policy, world) else ():
            if not all(_lets_in(guard, account, domains) for guard in guards):
                cause = f"it asks as {account}, and may not: every call it asks about is refused"
                yield at_place(at, Code.CALLER_UNLISTED, cause)


def _guards(world: World) -> list[list[str]]:
    """Patterns of those let in, by TLS and by the mesh; each of the two must let a caller in."""
    guards: list[list[str]] = []
    tls = world.server.grpc.tls
    if tls is not None and tls.allowed_callers is not None:
        guards.append([each.removeprefix("spiffe://") for each in tls.allowed_callers])
    let_in = [_let_in(ours, world) for ours in world.ours if not ours.is_beside]
    patterns = [pattern for each in let_in if each is not None for pattern in each]
    if let_in and None not in let_in:
        guards.append(patterns)
    return guards


def _let_in(ours: Workload, world: World) -> list[str] | None:
    """Patterns of the principals that the mesh lets in to a workload of ours; None: no such guard.

    A source that is given by anything else counts as one for all: it may fit.
    """
    allowing = [
        each
        for each in world.of(ISTIO_SECURITY, "AuthorizationPolicy")
        if each.spec["action"].text in ALLOW
    ]
    here = [each for each in allowing if selects(each, ours.manifest.namespace, ours.labels)]
    # Behind a waypoint it is the waypoint that is let in.
    is_behind = any(targets_us(each, world) for each in allowing)
    if not here or is_behind or not is_in_mesh(ours):
        return None
    rules = [rule for each in here for rule in each.spec["rules"].items]
    patterns: list[str] = []
    for rule in rules:
        if reaches_checks(rule, world):
            sources = [each["source"]["principals"].texts or ["*"] for each in rule["from"].items]
            patterns += [text for texts in sources or [["*"]] for text in texts]
    return patterns


def _asking(policy: Manifest, world: World) -> Iterator[tuple[str, At]]:
    """Who asks by a policy: `ns/NAMESPACE/sa/ACCOUNT`, and where that is said."""
    if target_refs(policy):
        yield from _gateways(policy, world)
        return
    for workload in selected(policy, world):
        manifest = workload.manifest
        is_ours = workload.is_ours and not workload.is_beside
        is_asking = not is_ours and has_proxy(workload, world) and _is_called(workload, world)
        if manifest.namespace and is_asking:
            at = workload.pod["serviceAccountName"]
            place = at if at.exists else manifest.at.dig("metadata", "name")
            yield f"ns/{manifest.namespace}/sa/{at.text or 'default'}", place


def _gateways(policy: Manifest, world: World) -> Iterator[tuple[str, At]]:
    names = {ref["name"].text for ref in target_refs(policy) if ref["kind"].text == "Gateway"}
    for gateway in world.of(GATEWAY_API, "Gateway"):
        kinds = [address["type"].text for address in gateway.spec["addresses"].items]
        form = _GATEWAY_ACCOUNTS.get(gateway.spec["gatewayClassName"].text)
        is_here = is_same_namespace(policy.namespace, gateway.namespace)
        if form is None or gateway.name not in names or not is_here or not gateway.namespace:
            continue
        # Istio makes no pods for one that has the address of others.
        if _MANAGED_ADDRESSES.issuperset(kinds):
            account = gateway.annotations.get(_ACCOUNT) or form.format(gateway.name)
            yield f"ns/{gateway.namespace}/sa/{account}", gateway.at.dig("metadata", "name")


def _is_called(workload: Workload, world: World) -> bool:
    """Whether a Service leads to it; without any there nothing can be told."""
    wanted = [each.spec["selector"] for each in world.services_of(workload.manifest.namespace)]
    return not wanted or any(
        each.exists and is_selected(workload.labels, each.words) for each in wanted
    )


def _domains(mesh: At) -> list[str]:
    own = mesh["trustDomain"]
    return [own.text, *mesh["trustDomainAliases"].texts, _LOCAL] if own.exists else []


def _lets_in(patterns: list[str], account: str, domains: set[str]) -> bool:
    return any(_fits(pattern, account, domains) for pattern in patterns)


def _fits(pattern: str, account: str, domains: set[str]) -> bool:
    # Where the mesh does not say which trust domain is its own, any may be.
    names = [f"{domain}/{account}" for domain in domains or {pattern.partition("/")[0]}]
    if pattern.startswith("*"):
        return any(name.endswith(pattern[1:]) for name in names)
    if pattern.endswith("*"):
        return any(name.startswith(pattern[:-1]) for name in names)
    return pattern in names
