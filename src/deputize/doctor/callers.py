"""Who can reach the port where checks are answered: whoever does can claim to be any peer.

One guard is enough: TLS with a list of callers, a NetworkPolicy, or an authorization policy of the
mesh. Several are looked at together, and reported only if all of them let everybody in.

Sources: Kubernetes `networking/v1` NetworkPolicy (an absent `from` or `ports` is everybody,
every port); istio `security/v1beta1/authorization_policy.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_policies import INJECT, MODE, selects
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At
from deputize.doctor.pods import Workload
from deputize.doctor.world import ISTIO_SECURITY, World

ALLOW = frozenset({"", "ALLOW"})

_EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})


def find_open_ports(world: World) -> Iterator[Finding]:
    """Workloads, or without any the configuration, whose port is open to everybody."""
    settings = world.settings
    if settings is not None and settings.open_listen is None:
        return
    lax: list[At] = []
    tls = world.server.grpc.tls
    if settings is not None and tls is not None:
        if tls.allowed_callers is not None:
            return
        lax = [settings.at.dig("spec", "server", "grpc", "tls")]
    for ours in world.ours:
        guards = _guards(ours, world).values()
        if all(guards):
            yield from _judge([*lax, *(open_[0] for open_ in guards)], ours.manifest.spec)
    if not world.ours and settings is not None and settings.open_listen is not None:
        yield from _judge(lax, settings.open_listen)


def _judge(lax: list[At], at: At) -> Iterator[Finding]:
    """Without a guard that lets only some in; `lax` are those that let everybody in."""
    for guard in lax:
        cause = "it lets everybody ask, and whoever asks can claim to be any peer"
        yield at_place(guard, Code.CALLERS_EVERYBODY, cause)
    if not lax:
        cause = "nothing keeps others from asking, and whoever asks can claim to be any peer"
        yield at_place(at, Code.CALLERS_UNRESTRICTED, cause)


def _guards(ours: Workload, world: World) -> dict[str, list[At]]:
    """Kinds of guard with the places where they let everybody in; none for one that is tight.

    Policies of one kind add up: what any of them lets in, gets in.
    """
    guards: dict[str, list[At]] = {}
    for policy in world.of("networking.k8s.io", "NetworkPolicy"):
        types = policy.spec["policyTypes"].texts
        if (
            is_same_namespace(policy.namespace, ours.manifest.namespace)
            and _matches(policy.spec["podSelector"], ours.labels)
            and ("Ingress" in types or not types)
        ):
            open_ = guards.setdefault("network", [])
            open_ += [rule for rule in policy.spec["ingress"].items if _lets_all_in(rule, world)]
    for policy in world.of(ISTIO_SECURITY, "AuthorizationPolicy"):
        is_ours = selects(policy, ours.manifest.namespace, ours.labels) or targets_us(policy, world)
        if is_ours and policy.spec["action"].text in ALLOW and is_in_mesh(ours):
            open_ = guards.setdefault("mesh", [])
            open_ += [rule for rule in policy.spec["rules"].items if _allows_all(rule, world)]
    return guards


def _matches(selector: At, labels: dict[str, str]) -> bool:
    """Whether a selector with labels and expressions selects pods with these."""
    return is_selected(labels, selector["matchLabels"].words) and all(
        _holds(each["operator"].text, labels.get(each["key"].text), each["values"].texts)
        for each in selector["matchExpressions"].items
    )


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    match operator:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
    return operator == "DoesNotExist" and value is None


def targets_us(policy: Manifest, world: World) -> bool:
    """Whether a policy is for a waypoint before a Service of ours."""
    names = {service.name for service in world.services}
    refs = policy.spec["targetRefs"].items
    return any(ref["kind"].text == "Service" and ref["name"].text in names for ref in refs)


def is_in_mesh(ours: Workload) -> bool:
    """Unless it says that it has no sidecar: then nobody enforces a policy of the mesh."""
    words = {**ours.annotations, **ours.labels}
    return words.get(INJECT) != "false" or words.get(MODE) == "ambient"


def _lets_all_in(rule: At, world: World) -> bool:
    ports = rule["ports"].items
    numbers = {port["port"].text for port in ports}
    wanted = {str(port) for port in world.check_ports} | {"grpc", ""}
    if ports and not numbers & wanted and not any(port["endPort"].exists for port in ports):
        return False
    peers = rule["from"].items
    return not peers or any(_is_everybody(peer) for peer in peers)


def _is_everybody(peer: At) -> bool:
    block = peer["ipBlock"]
    if block.exists:
        return block["cidr"].text in _EVERYWHERE
    namespaces, pods = peer["namespaceSelector"], peer["podSelector"]
    return namespaces.is_mapping and not namespaces.entries and not pods.entries


def reaches_checks(rule: At, world: World) -> bool:
    """Whether a rule of the mesh is for the port where checks are answered."""
    operations = [to["operation"] for to in rule["to"].items]
    wanted = {str(port) for port in world.check_ports}
    return not operations or any(
        not operation["ports"].exists or wanted & set(operation["ports"].texts)
        for operation in operations
    )


def _allows_all(rule: At, world: World) -> bool:
    # Conditions narrow whom it is for; what they say is not read.
    return reaches_checks(rule, world) and not rule["when"].exists and _is_from_anybody(rule)


def _is_from_anybody(rule: At) -> bool:
    sources = [each["source"] for each in rule["from"].items]
    if not sources:
        return True
    return any(
        all(set(values.texts) == {"*"} for _key, values in source.entries) for source in sources
    )
