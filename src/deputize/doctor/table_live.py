"""Codes about what runs, and what it needs from others."""

from __future__ import annotations

from collections.abc import Mapping

from deputize.doctor.findings import Code
from deputize.doctor.meaning import Meaning, error, warning

LIVE: Mapping[Code, Meaning] = {
    Code.NO_ANSWER: error(
        "Nobody answers at an address that was given, or something that is not deputize.",
        "See that the service runs, and that the address is reachable from here.",
    ),
    Code.NOT_READY: error(
        "`/readyz` waits for something: keys, deny lists, bundles, or the end of a drain.",
        "Do what the message says; the log has more.",
    ),
    Code.SERVICE_WARNS: warning(
        "`/readyz` has a warning. What has a code of its own is reported under that.",
        "Do what the message says.",
    ),
    Code.OBSERVE_MODE: warning(
        "`policyMode: observe`: policies refuse nothing.",
        "Set `policyMode: enforce` once nothing is observed that should pass.",
    ),
    Code.OTHER_CONFIG: warning(
        "The service decides under other files than the configuration given here.",
        "Give the files it has; or see why it did not reload.",
    ),
    Code.RELOADS_FAILED: warning(
        "Changed files could not be loaded since the start; the service went on with those before.",
        "The log names file and line. `deputize validate` finds it before.",
    ),
    Code.AUDIT_LOST: error(
        "Audit events were lost, or could not be written at the first attempt.",
        "See that the sink takes events as fast as they come; `audit.onFailure: deny` refuses "
        "rather than loses.",
    ),
    Code.SOURCE_STALE: warning(
        "Keys, a bundle or a deny list could not be fetched for three times as long as usual. "
        "Without a configuration 900 s are taken.",
        "The log says why; what is in use is used until `staleAfterSeconds`.",
    ),
    Code.POLICY_UNUSED: warning(
        "No rule of a policy decided anything, of 100 decisions or more that were looked at: in "
        "audit files, and else in the metrics since the start.",
        "Remove it, or see why nothing matches it: `deputize explain` tells.",
    ),
    Code.DECISIONS_SLOW: warning(
        "One of a hundred checks takes 80 % of `decisionTimeoutMillis` or longer; beyond it calls "
        "are refused (`system.deadline`). Only after 100 checks.",
        "Run more replicas or processes; look at stores and issuers that are asked during checks.",
    ),
    Code.NOT_SERVING: error(
        "gRPC health does not say `SERVING` under one of its two names: proxies turn away.",
        "`/readyz` says why.",
    ),
    Code.CHECK_OPEN: error(
        "A check without any certificate of the caller got an answer at an address that is not "
        "loopback. Whoever can do that can claim to be any peer.",
        "Use TLS with `clientCaFile` and `allowedCallers`, or let the network keep others away.",
    ),
    Code.CERTIFICATE_EXPIRING: warning(
        "A certificate has less than a fifth of its life left: whatever renews it did not.",
        "Renew it; replaced files are used without a restart.",
    ),
    Code.CERTIFICATE_UNUSABLE: error(
        "A certificate has expired, is not valid yet, or cannot be read.",
        "Replace it, and see that its key fits.",
    ),
    Code.CLOCK_SKEW: error(
        "A clock differs by more than `token.clockSkewSeconds` and a second. Compared are this "
        "machine, the service, and the servers that issuers publish keys on.",
        "Synchronize the clock that is wrong.",
    ),
    Code.KEYS_UNREACHABLE: error(
        "The keys of an issuer or approval service cannot be fetched from here.",
        "See that its host is reachable over HTTPS, and its authority trusted (`caFile`).",
    ),
    Code.KEYS_UNUSABLE: error(
        "A key set was read, and holds no key that may be used.",
        "Compare the algorithms of its keys with those of the issuer's settings.",
    ),
    Code.DENY_LIST_UNREACHABLE: error(
        "A deny list cannot be fetched or read from here.",
        "See that its host is reachable over HTTPS, and its authority trusted (`caFile`).",
    ),
    Code.DENY_LIST_UNUSABLE: error(
        "A deny list was read, and is none.",
        "Do what the message says.",
    ),
    Code.REDIS_UNREACHABLE: error(
        "The store of what was used cannot be reached from here. A connection is made, with TLS "
        "where the URL says so, and nothing is sent: the URL may hold a password.",
        "See that it runs, that the file with its URL is right, and its authority trusted "
        "(`caFile`).",
    ),
}
