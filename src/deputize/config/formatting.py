"""Policies, and cases for them, in one form: same meaning, same comments, keys in one order.

Rules of this file:
- What cannot be loaded is not formatted.
- What is written is read again: if anything else would be loaded, or a comment is lost, it is an
  error, and nothing is formatted.
"""

from __future__ import annotations

from pydantic import BaseModel

from deputize.config.model import Model, inner_model
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.policy_test_schema import PolicyTest
from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import Document, parse_documents
from deputize.config.validation import validate
from deputize.config.yaml_comments import find_comments, place_comments
from deputize.config.yaml_tree import Collection, Node, Tree, read_trees
from deputize.config.yaml_writer import write_trees

_MODELS: dict[str, type[Model]] = {"DelegationPolicy": DelegationPolicy, "PolicyTest": PolicyTest}
KINDS = frozenset(_MODELS)
"""What can be formatted."""
_APART = frozenset({"rules", "cases"})


def format_file(octets: bytes, file: str) -> bytes:
    """The same file, formatted.

    Raises:
        ConfigError: with every problem of a file that cannot be loaded.
    """
    documents = parse_documents(octets, file)
    if not documents:
        raise ConfigError([Problem(file, 0, "", "nothing in this file")])
    models = _check(documents)
    text = octets.decode("utf-8").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    trees = _read(text)
    for tree, model in zip(trees, models, strict=True):
        _order(tree.root, model)
    result = write_trees(trees, _APART)
    _check_same(text, result, documents, file)
    return result.encode("utf-8")


def kind_of(document: Document) -> str:
    """What the document says it is; empty where it says nothing."""
    kind = document.value.get("kind") if isinstance(document.value, dict) else None
    return kind if isinstance(kind, str) else ""


def _check(documents: list[Document]) -> list[type[Model]]:
    problems: list[Problem] = []
    models: list[type[Model]] = []
    for document in documents:
        model = _MODELS.get(kind_of(document))
        if model is None:
            known = ", ".join(f"`{name}`" for name in _MODELS)
            problems.append(document.problem(("kind",), f"only {known} can be formatted"))
            continue
        models.append(model)
        try:
            validate(model, document)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return models


def _read(text: str) -> list[Tree]:
    """The documents with their comments; those of one without a value go to a neighbour."""
    trees = read_trees(text)
    place_comments(text, trees, find_comments(text, trees))
    kept: list[Tree] = []
    waiting: list[str] = []
    for tree in trees:
        if isinstance(tree.root, Collection):
            tree.head[:0] = [*waiting, ""] if waiting else []
            waiting = []
            kept.append(tree)
        else:
            waiting += ["", *tree.head] if tree.head else []
    if waiting and isinstance(kept[-1].root, Collection):
        kept[-1].root.tail += waiting
    return kept


def _order(node: Node, model: type[BaseModel] | None) -> None:
    """Keys in the order of the model's fields; those of free mappings stay where they are."""
    if not isinstance(node, Collection):
        return
    if not node.is_mapping or model is None:
        for entry in node.entries:
            _order(entry.value, model if not node.is_mapping else None)
        return
    fields = {each.alias or name: each for name, each in model.model_fields.items()}
    names = list(fields)
    known = [(entry, "" if entry.key is None else entry.key.value) for entry in node.entries]
    node.entries = [entry for entry, name in sorted(known, key=lambda each: names.index(each[1]))]
    for entry, name in known:
        _order(entry.value, inner_model(fields[name].annotation))


def _check_same(text: str, result: str, documents: list[Document], file: str) -> None:
    try:
        again = parse_documents(result.encode("utf-8"), file)
    except ConfigError:
        again = []
    is_same = [each.value for each in again] == [each.value for each in documents]
    if not is_same or _comment_texts(text) != _comment_texts(result):
        message = "cannot be formatted without changing it: something in it is written unusually"
        raise ConfigError([Problem(file, 0, "", message)])


def _comment_texts(text: str) -> list[str]:
    return sorted(comment.text for comment in find_comments(text, read_trees(text)))
