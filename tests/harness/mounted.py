"""Files as Kubernetes mounts a ConfigMap or a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mounted:
    """A folder of links through `..data` to a versioned folder, replaced in one step."""

    folder: Path

    def publish(self, version: str, files: Mapping[str, str]) -> None:
        """Shows these files from now on; no version comes twice."""
        target = self.folder / f"..{version}"
        target.mkdir(parents=True)
        for name, text in files.items():
            (target / name).write_text(text)
        draft = self.folder / "..data_tmp"
        draft.symlink_to(target.name)
        draft.replace(self.folder / "..data")
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
