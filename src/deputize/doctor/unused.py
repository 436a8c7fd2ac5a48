"""Policies none of whose rules decided anything.

Told from audit files where some are given, else from the metric `deputize_decisions_total`, which
names the deciding rule already: no metric is added for this, and nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.samples import Sample

from deputize.config.loader import Loaded
from deputize.doctor.findings import Code, Finding, found_at

FEWEST = 100
"""Decisions before anything is said."""


class Decided(NamedTuple):
    """How many decisions were looked at, and the policies whose rules decided them.

    `source` says where that was read.
    """

    source: str
    total: float
    policies: frozenset[str]


def decided_of_rules(source: str, total: float, rules: Iterable[str]) -> Decided:
    """`rules` are named `<policy>/<rule>`, or empty where none decided."""
    return Decided(source, total, frozenset(rule.partition("/")[0] for rule in rules))


def decided_of_metrics(source: str, samples: Iterable[Sample]) -> Decided:
    """What the metrics of a service say, since its start."""
    total, rules = 0.0, set()
    for sample in samples:
        if sample.name == "deputize_decisions_total":
            total += sample.value
            rules.add(sample.labels.get("rule", ""))
        elif sample.name == "deputize_observed_denials_total":
            rules.add(sample.labels.get("policy", ""))
    return decided_of_rules(source, total, rules)


def find_unused(decided: Decided, loaded: Loaded) -> Iterator[Finding]:
    """Each loaded policy with rules, of which none decided."""
    if decided.total < FEWEST:
        return
    policies = {rule.ref.policy for rule in loaded.compiled.policies.rules}
    for name in sorted(policies - decided.policies):
        cause = f"no rule of policy {name} decided any of {decided.total:.0f} calls"
        yield found_at(decided.source, Code.POLICY_UNUSED, cause)
