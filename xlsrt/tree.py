"""Nested settings read from YAML: reading with clear errors, and laying one tree over another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xlsrt.errors import UserError
from xlsrt.files import write_text

Tree = dict[str, Any]


if TYPE_CHECKING:
    from yaml import SafeLoader as _Safe
else:  # libyaml's where PyYAML was built with it: config.yaml holds thousands of tokens
    _Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):
    """Safe YAML that refuses a key given twice (plain YAML keeps the last one without a word)."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Called before a mapping is made, and by whoever merges it (`<<: *anchor`). It lays merged keys into
        # the node, beside those that are given anew: so each node is looked at once, before.
        seen: set[Any] = set()
        looked = self.__dict__.setdefault("looked_at", set())
        for key_node, _ in node.value if id(node) not in looked else ():
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        looked.add(id(node))
        super().flatten_mapping(node)


def read_tree(path: str | Path) -> Tree:
    """Read a YAML file that holds a mapping. Raises `UserError` where it is missing or broken."""
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.load(file, _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML, mend it or restore a copy: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected `key: value` lines, found a {type(tree).__name__}")
    return tree


def overlay(base: Mapping[str, Any], *layers: Mapping[str, Any]) -> Tree:
    """A new tree with each layer laid over those before: mappings are merged, all else is replaced."""
    merged: Tree = dict(base)
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            merged[key] = (
                overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
            )
    return merged


def write_tree(path: str | Path, tree: Mapping[str, Any], head: str = "") -> None:
    """Write a tree as YAML, keys in their order, below ``head`` as a comment."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    write_text(path, comment + yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, width=110))
