"""Objects that are settled one time after another, as a service does it."""

from __future__ import annotations

from deputize.config.file_set import FileSet
from deputize.config.objects import StoredObject
from deputize.config.settling import InForce, Settled, settle
from tests.harness.stored_objects import by_key


class Course:
    """Keeps what is in force from one time to the next."""

    def __init__(self, files: FileSet) -> None:
        self.files = files
        self.in_force: InForce = {}

    def settle(self, *objects: StoredObject) -> Settled:
        """What is in force now that these objects are all there are."""
        settled = settle(self.files, by_key(*objects), self.in_force)
        self.in_force = settled.in_force
        return settled


def rules_of(settled: Settled) -> set[str]:
    """The rules in force."""
    return {str(rule.ref) for rule in settled.loaded.compiled.policies.rules}


def refused(settled: Settled) -> set[str]:
    """The names of the objects that are not taken."""
    return {key.name for key in settled.refused}
