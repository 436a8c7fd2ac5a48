"""Which objects are in force: of each the last good generation, all in one configuration.

Rules of this file:
- A change is taken when it brings no new problem: none alone, none together with all others.
- A change that is not taken leaves in force what was, and holds up no other change.
- What is in force comes before what is new; of what is new, what was accepted before comes first,
  then what is older. So services that see the same objects decide by the same.
- Nothing here waits, reads or writes: files and objects in, a configuration out.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

from deputize.config.file_set import FileSet
from deputize.config.loader import Loaded, check_files, collector_paused, compose
from deputize.config.objects import (
    POLICY,
    GoodObject,
    ObjectKey,
    StoredObject,
    only_allows,
    read_object,
    without_rules,
)
from deputize.config.problems import ConfigError, Problem
from deputize.config.references import check_references

Objects = Mapping[ObjectKey, StoredObject]
InForce = Mapping[ObjectKey, GoodObject]
Changes = dict[ObjectKey, GoodObject | None]
"""New generations, and None for objects that are gone."""
Refused = dict[ObjectKey, tuple[Problem, ...]]
MAX_TRIES = 100
"""How often it is tried what fits; then what was blamed so far is left. Each try reads all, so many
objects that do not fit would hold up what does."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A good configuration, and the objects in it.

    `refused` are objects whose stored generation is not in force, with their problems; `missing`
    those of them of which nothing is in force, although it could have refused calls. `lingering`
    are objects that are gone, of which others still need what they said.
    """

    loaded: Loaded
    in_force: InForce
    refused: Mapping[ObjectKey, tuple[Problem, ...]]
    missing: tuple[ObjectKey, ...]
    lingering: tuple[ObjectKey, ...]


def tell_refusal(key: ObjectKey, problems: tuple[Problem, ...]) -> str:
    """The first problem of an object that was not taken, which may name another one."""
    first, more = problems[0], len(problems) - 1
    told = str(first) if first.file == str(key) else f"{key} is not taken: {first}"
    return f"{told} (and {more} more)" if more else told


def settle(files: FileSet, stored: Objects, before: InForce) -> Settled:
    """Takes every change that is good, beginning from what was in force before.

    Raises:
        ConfigError: the files are wrong, or do not fit what is in force.
    """
    with collector_paused():
        if files.problems:
            # It cannot be good: find all that is wrong, and do not look for what would fit.
            compose(files, before.values())
        changes, refused = _changes(files, stored, before)
        taking = _Taking(files, before)
        left = taking.take_all(changes)
        taking.take_rules_back({key for key in left if _is_gone(key, stored, before)})
        loaded = taking.result()
    refused = {key: each for key, each in left.items() if key in stored} | refused
    return Settled(
        loaded,
        taking.objects,
        refused,
        tuple(sorted(key for key in refused if _is_missed(stored[key], taking.objects))),
        tuple(sorted(taking.objects.keys() - stored.keys())),
    )


def begin(files: FileSet) -> Settled | None:
    """What files alone put in force; None where objects have to be known first.

    Raises:
        ConfigError: with every problem in every file.
    """
    if files.service.kubernetes is None:
        return settle(files, {}, {})
    check_files(files)
    return None


def named_namespaces(files: FileSet) -> list[str]:
    """The namespaces whose objects the files ask for."""
    return [] if files.service.kubernetes is None else files.service.kubernetes.namespaces


def unwatched(files: FileSet, watched: Collection[str]) -> tuple[Problem, ...]:
    """The namespaces that are not watched: what their objects forbid would be missing."""
    return tuple(
        files.document.problem(
            ("spec", "kubernetes", "namespaces", position),
            f"`{name}` is not watched before the next start; until then this file is not taken",
        )
        for position, name in enumerate(named_namespaces(files))
        if name not in watched
    )


def _changes(files: FileSet, stored: Objects, before: InForce) -> tuple[Changes, Refused]:
    """What differs, in the order in which it is taken, and what is not good alone."""
    changes: Changes = {}
    refused: Refused = {}
    for key, latest in sorted(stored.items(), key=lambda item: _rank(item[1])):
        kept = before.get(key)
        if kept is not None and kept.stored.is_same(latest):
            continue
        try:
            changes[key] = _read(files, latest)
        except ConfigError as error:
            refused[key] = error.problems
            if kept is not None and kept.stored.uid != latest.uid:
                # What was in force was deleted; that another has its name does not matter.
                changes[key] = None
    # Last: what others needed can go once they no longer do.
    changes |= dict.fromkeys(sorted(before.keys() - stored.keys()))
    return changes, refused


def _read(files: FileSet, stored: StoredObject) -> GoodObject:
    """What can be told of an object without the others."""
    good = read_object(stored)
    unknown = check_references(good.document, files.known)
    if unknown:
        raise ConfigError(unknown)
    return good


def _rank(stored: StoredObject) -> tuple[bool, str, ObjectKey]:
    return not stored.was_accepted, stored.created, stored.key


def _is_gone(key: ObjectKey, stored: Objects, before: InForce) -> bool:
    return key in before and (key not in stored or stored[key].uid != before[key].stored.uid)


def _is_missed(stored: StoredObject, in_force: InForce) -> bool:
    return stored.key.kind == POLICY and stored.key not in in_force and not only_allows(stored)


def _parts(changes: Changes, blamed: Container[str]) -> tuple[Changes, Changes]:
    """Those without and with blame; two halves where that does not divide them."""
    quiet = {key: change for key, change in changes.items() if str(key) not in blamed}
    if 0 < len(quiet) < len(changes):
        return quiet, {key: change for key, change in changes.items() if key not in quiet}
    items = iter(changes.items())
    return dict(itertools.islice(items, len(changes) // 2)), dict(items)


class _Taking:
    """Takes changes as long as they bring no new problem. `objects` are those in force."""

    def __init__(self, files: FileSet, objects: InForce) -> None:
        self._files = files
        self.objects = dict(objects)
        self._loaded: Loaded | None = None
        self._problems: frozenset[Problem] = frozenset()
        self._taken = 0
        self._tries = 0
        self._left_at: dict[ObjectKey, int] = {}

    def take_all(self, changes: Changes) -> Refused:
        """Takes what fits, and says why the rest does not."""
        loaded, problems = self._try(changes)
        if loaded is not None:
            self._adopt(changes, loaded, problems)
            return {}
        self._adopt({}, *self._try({}))
        left: Refused = {}
        self._judge(changes, loaded, problems, left)
        while early := [k for k in changes if k in left and self._left_at[k] < self._taken]:
            # What was left may have needed what was taken after it.
            again = {key: changes[key] for key in early}
            left = {key: each for key, each in left.items() if key not in again}
            self._take(again, left)
        return left

    def take_rules_back(self, gone: set[ObjectKey]) -> None:
        """Of objects that are gone, but were left, keeps in force no more than others need."""
        for key in sorted(gone):
            if self._tries < MAX_TRIES:
                self._take({key: None}, {})
        kept = {key: self.objects[key] for key in gone if key in self.objects}
        # Nothing needs rules, so this fits; what has no routes goes with them.
        self._take({k: without_rules(each) for k, each in kept.items() if each.policy}, {})

    def result(self) -> Loaded:
        """The configuration of what was taken."""
        if self._loaded is None:
            raise ConfigError(sorted(self._problems))
        return self._loaded

    def _take(self, changes: Changes, left: Refused) -> None:
        self._judge(changes, *self._try(changes), left)

    def _judge(
        self,
        changes: Changes,
        loaded: Loaded | None,
        problems: frozenset[Problem],
        left: Refused,
    ) -> None:
        """Takes these, of which it is known what they bring, or fewer of them."""
        new = problems - self._problems
        if not new:
            self._adopt(changes, loaded, problems)
        elif len(changes) == 1 or self._tries >= MAX_TRIES:
            for key in changes:
                own = [each for each in new if each.file == str(key) or len(changes) == 1]
                left[key] = tuple(sorted(own or new))
            self._left_at |= dict.fromkeys(changes, self._taken)
        else:
            for part in _parts(changes, {problem.file for problem in new}):
                self._take(part, left)

    def _try(self, changes: Changes) -> tuple[Loaded | None, frozenset[Problem]]:
        """What comes of these; of two that disagree the later is blamed, so they come last."""
        self._tries += 1
        kept = [each for key, each in self.objects.items() if key not in changes]
        try:
            changed = [each for each in changes.values() if each is not None]
            loaded = compose(self._files, [*kept, *changed])
        except ConfigError as error:
            return None, frozenset(error.problems)
        return loaded, frozenset()

    def _adopt(self, changes: Changes, loaded: Loaded | None, problems: frozenset[Problem]) -> None:
        changed = {**self.objects, **changes}
        self.objects = {key: each for key, each in changed.items() if each is not None}
        self._loaded, self._problems = loaded, problems
        self._taken += 1
