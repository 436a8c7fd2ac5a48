"""Codes about how proxies ask, and about the peer they name."""

from __future__ import annotations

from collections.abc import Mapping

from deputize.doctor.findings import Code
from deputize.doctor.meaning import Meaning, error, warning

ASKING: Mapping[Code, Meaning] = {
    Code.PROVIDER_UNKNOWN: error(
        "An authorization policy with action CUSTOM names a provider that no mesh settings have. "
        "Istio then refuses every call the policy covers.",
        "Spell it as in `extensionProviders`, or add it there.",
    ),
    Code.SERVICE_UNKNOWN: error(
        "A proxy asks a Service that is none of those that lead to deputize; or one called like it "
        "that is not among the Services given, as after a removal. Silent without a Service among "
        "the manifests, and for hosts outside the cluster.",
        "Name the Service as `name.namespace.svc.cluster.local`; or let nobody ask what is gone.",
    ),
    Code.PORT_UNKNOWN: error(
        "A proxy asks another port of the Service than the one where checks are answered.",
        "Use the port of the Service named `grpc`.",
    ),
    Code.ASKED_OVER_HTTP: error(
        "A proxy asks over HTTP. deputize answers over gRPC only.",
        "Use the gRPC form: `envoyExtAuthzGrpc`, `grpc_service`, `grpc`, `grpcService`, "
        "`protocol: GRPC`.",
    ),
    Code.TIMEOUT_MISSING: warning(
        "No timeout is set, and the proxy's own is long: 600 s at Istio, 10 s at Envoy Gateway, "
        "none at agentgateway. Calls hang for as long as deputize cannot be reached.",
        "Set one a little above `decisionTimeoutMillis`, for example `0.25s`.",
    ),
    Code.TIMEOUT_SHORT: error(
        "The proxy's timeout is not above `server.decisionTimeoutMillis`. It gives up first: the "
        "call is refused without a reason, or let in where the proxy fails open.",
        "Raise the timeout, or lower `decisionTimeoutMillis`.",
    ),
    Code.FAIL_OPEN: error(
        "The proxy lets calls in when it gets no answer in time. A client can bring that about "
        "with a check that is too large or takes too long.",
        "Remove the setting, or turn it off.",
    ),
    Code.CHECKS_SAMPLED: error(
        "The proxy asks about a part of the calls only; the others are let in.",
        "Remove `filter_enabled`.",
    ),
    Code.CALLS_UNASKED: warning(
        "Calls get in that nobody asks about, though deputize is asked about others beside them: "
        "rules of a `CUSTOM` policy that match nothing, or leave out paths by a pattern; workloads "
        "without a sidecar; a way around a waypoint; routes where the question is turned off.",
        "Do what the message says; or, where it is meant, leave this out with `--ignore`.",
    ),
    Code.BODY_MISSING: error(
        "Policies need bodies (tools of MCP, operations of A2A in JSON-RPC, approvals), and no "
        "proxy sends any: such calls are refused (`request.body_truncated`). Silent as soon as one "
        "sends them.",
        "Let the proxy send bodies, on the routes that need them.",
    ),
    Code.BODY_PARTIAL: warning(
        "The proxy sends the beginning of a body that is too large. Such a call is refused by us "
        "rather than by the proxy; a part is never taken for a body.",
        "Turn it off, and set the largest body you expect.",
    ),
    Code.BODY_AS_TEXT: warning(
        "The proxy sends bodies as text, where each octet that is not UTF-8 becomes a `!`. A text "
        "with a `!` is refused.",
        "Set `packAsBytes: true` (`pack_as_bytes`).",
    ),
    Code.BODY_TOO_LARGE: error(
        "The largest body, with its headers, is more than `server.grpc.maxMessageBytes`. Such a "
        "check is an RPC error: refused, or let in where the proxy fails open.",
        "Lower the proxy's limit, or raise `maxMessageBytes` 128 KiB or more above it.",
    ),
    Code.HEADERS_HIDDEN: error(
        "The proxy sends us a part of the headers. What we do not see we can neither refuse nor "
        "remove: the API may get made-up identity headers.",
        "Leave the list out.",
    ),
    Code.TOKEN_STRIPPED: error(
        "The proxy checks tokens itself, before it asks, and removes them: every call is refused "
        "(`token.missing`).",
        "Set `forward: true`, or send the token in a header of its own and name it in "
        "`token.header`.",
    ),
    Code.CACHE_UNSAFE: error(
        "The proxy remembers answers under a key that lacks something they hang on. One caller "
        "then gets the answer of another.",
        "Remove the cache.",
    ),
    Code.CACHE_UNAUDITED: warning(
        "The proxy remembers answers. One from its memory has no audit event, counts in no budget, "
        "and outlives revocation.",
        "Remove the cache; or, where that price is meant, leave this out with `--ignore`.",
    ),
    Code.CERTIFICATE_NOT_SENT: error(
        "`peer.requireCertificate` is set, or there are `peer.bundles`, and the proxy sends no "
        "certificate: every call is refused. Istio, kgateway and the Gateway API cannot send it.",
        "Send it: `include_peer_certificate: true` at Envoy, `source.certificate` in the metadata "
        "of agentgateway. Where that cannot be had, leave `peer.requireCertificate` at `false`.",
    ),
    Code.CLIENT_CERTIFICATE_NOT_REQUIRED: error(
        "A listener or gateway in front takes clients without a certificate. They have no name, "
        "and are refused (`peer.missing`). Or an Envoy has no authority to verify certificates by: "
        "whoever makes one is any agent. Looked at are those that deputize is asked for.",
        "Require one, and verify it: `require_client_certificate: true`, a `validation_context`; "
        "TLS mode `MUTUAL`; client validation in the Gateway or the ClientTrafficPolicy.",
    ),
    Code.METADATA_ABSENT: error(
        "Peers are read from metadata, and agentgateway is not told to send that namespace: every "
        "call is refused (`peer.missing`).",
        "Add an expression under the name in `peer.metadataNamespace`.",
    ),
    Code.METADATA_NO_MAP: error(
        "An expression for metadata gives something else than a map. agentgateway leaves it out "
        "without a word.",
        'Write a map: `{"sans": source.subjectAltNames, "cert": source.certificate}`.',
    ),
    Code.WAYPOINT_NOT_ANNOTATED: error(
        "A waypoint asks without saying who calls: its checks never have a principal.",
        'Annotate the Gateway with `ambient.istio.io/xfcc-include-client-identity: "true"` (Istio '
        "1.30 or newer).",
    ),
    Code.WAYPOINT_SOURCE: error(
        "A waypoint asks, and peers are not read from its header: every call is refused "
        "(`peer.missing`).",
        "Set `peer.source: waypoint-xfcc` and list the waypoint.",
    ),
    Code.WAYPOINT_UNLISTED: error(
        "A waypoint asks that is not in `peer.waypoints`: every call is refused "
        "(`peer.untrusted_source`).",
        "Add its SPIFFE ID: `spiffe://<trust domain>/ns/<namespace>/sa/<gateway>`.",
    ),
    Code.WAYPOINT_ABSENT: error(
        "Peers are read from the header of a waypoint, and policies let other proxies ask. What a "
        "client writes into that header is then believed, if it knows the name of a waypoint.",
        "Attach the policies to a waypoint, or use `peer.source: principal`.",
    ),
    Code.MTLS_NOT_STRICT: warning(
        "Protected workloads take calls without mTLS. Those have no principal, and are refused "
        "(`peer.missing`); paths that no policy covers they reach unseen.",
        "Set mode `STRICT`.",
    ),
}
