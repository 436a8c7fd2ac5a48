"""Queries of the dashboard's panels, in PromQL.

They choose series by `$namespace` and `$pod`, the variables of the dashboard.
"""

from __future__ import annotations


def series(metric: str, where: str = "") -> str:
    """The series of a metric that are shown; `where` is one more matcher."""
    matchers = ['namespace="$namespace"', 'pod=~"$pod"', *([where] if where else [])]
    return f"{metric}{{{','.join(matchers)}}}"


def rate(metric: str, *by: str, where: str = "") -> str:
    """Events per second, together or by labels."""
    grouping = f" by ({', '.join(by)}) " if by else ""
    return f"sum{grouping}(rate({series(metric, where)}[$__rate_interval]))"


def increase(metric: str, by: str) -> str:
    """Events from one point of the graph to the next, by a label."""
    return f"sum by ({by}) (increase({series(metric)}[$__rate_interval]))"


def refused(reasons: str) -> str:
    """Refusals in the time that is shown; `reasons` is a regular expression."""
    refusals = series("deputize_refusals_total", f'reason=~"{reasons}"')
    return f"sum(increase({refusals}[$__range]))"


def quantile(share: float) -> str:
    """The seconds within which this share of the decisions is made."""
    buckets = rate("deputize_decision_duration_seconds_bucket", "le")
    return f"histogram_quantile({share}, {buckets})"
