"""A reloader that looks when a test says so, and what it reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deputize.config.file_set import read_files
from deputize.config.loader import Loaded
from deputize.config.objects import StoredObject
from deputize.config.settling import Objects, Settled, begin
from deputize.server.reload import Reloader
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.issuer import Issuer
from tests.harness.stored_objects import by_key
from tests.harness.world import ISSUER_URL


@dataclass(slots=True)
class Objecting:
    """Gives objects, None before all are known, and keeps what it is told."""

    there: Objects | None = None
    told: list[tuple[Settled, bool]] = field(default_factory=list)

    def objects(self) -> Objects | None:
        return self.there

    def tell(self, settled: Settled, stored: Objects, *, is_used: bool) -> None:
        assert stored is self.there
        self.told.append((settled, is_used))


@dataclass(slots=True)
class Watching:
    """A reloader of files and, where the service names a namespace, of objects."""

    folder: Path
    service: str = SERVICE
    cluster: Objecting = field(default_factory=Objecting)
    loaded: list[Loaded] = field(default_factory=list)
    failures: int = 0
    looks: int = 0
    reloader: Reloader = field(init=False)

    def __post_init__(self) -> None:
        config_file = write_world(self.folder, service=self.service, issuer=Issuer(ISSUER_URL))
        files = read_files(config_file)
        self.reloader = Reloader(
            config_file,
            files,
            begin(files),
            on_loaded=self.loaded.append,
            on_failed=self._count_failure,
            on_changed=self._count_look,
            cluster=self.cluster if files.service.kubernetes else None,
        )

    def see(self, *objects: StoredObject) -> None:
        """Looks, while these objects are all there are."""
        self.cluster.there = by_key(*objects)
        self.reloader.look()

    def write_config(self, old: str, new: str) -> None:
        """Looks, after the configuration that was there first got this change."""
        (self.folder / "deputize.yaml").write_text(changed(self.service, old, new))
        self.reloader.look()

    @property
    def policy_file(self) -> Path:
        return self.folder / "policies" / "orders.yaml"

    @property
    def methods(self) -> set[str]:
        """Of all rules now in use."""
        rules = self.loaded[-1].compiled.policies.rules
        return {method for rule in rules for method in rule.methods}

    def _count_failure(self) -> None:
        self.failures += 1

    def _count_look(self) -> None:
        self.looks += 1
