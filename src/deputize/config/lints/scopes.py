"""The lint about scopes that no issuer puts into a token: `scope-never-issued`."""

from __future__ import annotations

from collections.abc import Iterator

from deputize.config.lints.subject import Subject
from deputize.config.lints.table import Lint
from deputize.config.problems import Problem, nearest


def find_scopes_never_issued(subject: Subject) -> Iterator[Problem]:
    """Scopes a rule needs of tokens whose issuer says that it issues others only."""
    for placed in subject.rules:
        named = dict.fromkeys(entry.issuer for entry in placed.written.on_behalf_of)
        for position, scope in enumerate(placed.written.scopes or ()):
            for name in named:
                issuer = subject.issuers.get(name)
                issued = None if issuer is None else issuer.issued_scopes
                if issued is not None and scope not in issued:
                    near = nearest(scope, issued) if issued else ""
                    message = f"{name} does not issue `{scope}`{near}"
                    yield placed.finding(Lint.SCOPE_NEVER_ISSUED, message, "scopes", position)
