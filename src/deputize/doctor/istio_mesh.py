"""Extension providers of an Istio mesh, wherever its settings stand.

Sources: istio `mesh/v1alpha1/config.proto` (MeshConfig.ExtensionProvider) and
`pilot/pkg/security/authz/builder/extauthz.go` (what becomes of it; the default of 600 s).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.config.problems import nearest
from deputize.doctor.asks import Ask, at_place, read_body
from deputize.doctor.findings import Code, Finding
from deputize.doctor.manifests import MESH, Manifest
from deputize.doctor.place import At
from deputize.doctor.pods import NAME
from deputize.doctor.reading import read_inner_documents
from deputize.doctor.world import ISTIO_SECURITY, World

CUSTOM = "CUSTOM"

_DEFAULT_SECONDS = 600.0


def mesh_settings(world: World) -> list[At]:
    """Every MeshConfig: in the ConfigMap `istio`, an IstioOperator, Helm values, or bare."""
    found = [each.at for each in world.of("", MESH)]
    found += [each.spec["meshConfig"] for each in world.of("install.istio.io", "IstioOperator")]
    for each in world.of("", "ConfigMap"):
        if each.name == "istio" or each.name.startswith("istio-"):
            found += read_inner_documents(each.at.dig("data", "mesh"))
    return [at for at in found if at.exists]


def providers(world: World) -> list[At]:
    """Every extension provider."""
    return [each for mesh in mesh_settings(world) for each in mesh["extensionProviders"].items]


def read_asks(world: World) -> Iterator[Ask]:
    """The providers that ask us, or whose name says so."""
    for _name, ask in _our_providers(world):
        yield ask


def custom_policies(world: World) -> list[Manifest]:
    """Authorization policies that let somebody else decide."""
    found = world.of(ISTIO_SECURITY, "AuthorizationPolicy")
    return [each for each in found if each.spec["action"].text == CUSTOM]


def our_policies(world: World) -> list[Manifest]:
    """Those that let deputize decide."""
    ours = {name for name, _ask in _our_providers(world)}
    if world.takes_rest and not any(each["name"].text == NAME for each in providers(world)):
        ours.add(NAME)
    return [each for each in custom_policies(world) if _provider(each).text in ours]


def asks_service(policy: Manifest, world: World) -> bool:
    """Whether its provider leads to a Service of ours; one that was not given may."""
    name = _provider(policy).text
    asks = [ask for of, ask in _our_providers(world) if of == name]
    return not asks or any(ask.is_served(world.services) for ask in asks)


def find_unknown_providers(world: World) -> Iterator[Finding]:
    """Policies with a provider that no mesh has: Istio then refuses what they cover."""
    names = {provider["name"].text for provider in providers(world)}
    for policy in custom_policies(world) if mesh_settings(world) else ():
        at = _provider(policy)
        if at.text not in names:
            yield at_place(
                at, Code.PROVIDER_UNKNOWN, f"no provider `{at.text}`{nearest(at.text, names)}"
            )


def _our_providers(world: World) -> Iterator[tuple[str, Ask]]:
    for provider in providers(world):
        name = provider["name"].text
        for key in ("envoyExtAuthzGrpc", "envoyExtAuthzHttp"):
            ask = _ask(provider[key], over_http=key.endswith("Http"))
            is_named = NAME in name and world.takes_rest and not ask.is_served(world.elsewhere)
            if provider[key].exists and (is_named or ask.is_ours(world)):
                yield name, ask


def _provider(policy: Manifest) -> At:
    return policy.spec.dig("provider", "name")


def _ask(at: At, *, over_http: bool = False) -> Ask:
    body = at["includeRequestBodyInCheck"]
    return Ask(
        proxy="Istio",
        at=at,
        service=at["service"],
        host=at["service"].text,
        port=at["port"].whole,
        timeout=at["timeout"],
        default_seconds=_DEFAULT_SECONDS,
        fail_open=at["failOpen"].if_on,
        body=read_body(body, is_text=not body["packAsBytes"].is_on),
        over_http=at if over_http else None,
    )
