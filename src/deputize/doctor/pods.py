"""What runs pods, and by what deputize is known among it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At

NAME = "deputize"
PROXY = "istio-proxy"

_APP = "app.kubernetes.io/name"


@dataclass(frozen=True)
class Workload:
    """A Deployment, DaemonSet or StatefulSet."""

    manifest: Manifest

    @property
    def pod(self) -> At:
        """The spec of its pods."""
        return self.manifest.at.dig("spec", "template", "spec")

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return self.manifest.at.dig("spec", "template", "metadata", "labels").words

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations of its pods."""
        return self.manifest.at.dig("spec", "template", "metadata", "annotations").words

    @property
    def containers(self) -> list[At]:
        """Its containers that are deputize, or all."""
        return [at for at in self._running if _is_ours(at)] or self._running

    @cached_property
    def config_maps(self) -> list[At]:
        """The names of the ConfigMaps that the containers of deputize cannot start without."""
        mounts = {
            mount["name"].text for at in self.containers for mount in at["volumeMounts"].items
        }
        volumes = [at for at in self.pod["volumes"].items if at["name"].text in mounts]
        volumes += [inner for at in volumes for inner in at.dig("projected", "sources").items]
        maps = [at["configMap"] for at in volumes]
        return [at["name"] for at in maps if at["name"].exists and not at["optional"].is_on]

    def mounts(self, config_map: Manifest) -> bool:
        """Whether deputize in it reads that ConfigMap."""
        return is_same_namespace(config_map.namespace, self.manifest.namespace) and any(
            at.text == config_map.name for at in self.config_maps
        )

    @property
    def is_ours(self) -> bool:
        """Whether deputize runs in it."""
        return self.labels.get(_APP) == NAME or any(map(_is_ours, self._running))

    @property
    def is_beside(self) -> bool:
        """Whether deputize runs in it beside what it protects."""
        others = (at for at in self._running if at["name"].text != PROXY and not _is_ours(at))
        return self.labels.get(_APP) != NAME and any(others)

    @property
    def _running(self) -> list[At]:
        """All containers that go on running, those of sidecars too."""
        sidecars = self.pod["initContainers"].items
        beside = [at for at in sidecars if at["restartPolicy"].text == "Always"]
        return self.pod["containers"].items + beside


def leads_to(service: Manifest, ours: Workload) -> bool:
    """Whether a Service leads to a workload in which nothing but deputize runs."""
    wanted = service.spec["selector"]
    return (
        is_same_namespace(service.namespace, ours.manifest.namespace)
        and not ours.is_beside
        and wanted.exists
        and is_selected(ours.labels, wanted.words)
    )


def _is_ours(container: At) -> bool:
    image = container["image"].text.rpartition("@")[0] or container["image"].text
    words = [container["name"].text, image.rpartition("/")[2], *container["command"].texts]
    return any(word.partition(":")[0].endswith(NAME) for word in words)
