from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.tree import overlay, read_tree, write_tree


def test_mappings_merge_and_everything_else_is_replaced() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert overlay(base, {"a": {"y": [3], "z": None}}, {"b": {"c": 2}}) == {
        "a": {"x": 1, "y": [3], "z": None},
        "b": {"c": 2},
    }
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tree = {"z": 1, "a": {"ä": [None, True, 1.0e-3, "x"]}}
    write_tree(tmp_path / "deep/tree.yaml", tree, "two\nlines")
    assert read_tree(tmp_path / "deep/tree.yaml") == tree
    assert (tmp_path / "deep/tree.yaml").read_text(encoding="utf-8").startswith("# two\n# lines\nz: 1\n")
    assert list(read_tree(tmp_path / "deep/tree.yaml")) == ["z", "a"]


def test_merge_keys_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one: {<<: &both {a: 1, b: 2}, c: 3}\ntwo: {<<: *both, b: 4}\n", encoding="utf-8")
    assert read_tree(path) == {"one": {"a": 1, "b": 2, "c": 3}, "two": {"a": 1, "b": 4}}
    deep = "base: &base {a: 1, b: 2}\none: {sub: &x {<<: *base, b: 4}}\ntwo: {<<: *x}\n"
    path.write_text(deep, encoding="utf-8")
    assert read_tree(path)["one"] == {"sub": {"a": 1, "b": 4}} and read_tree(path)["two"] == {"a": 1, "b": 4}
    path.write_text("one: &one {a: 1}\ntwo: {<<: *one, b: 4, b: 5}\n", encoding="utf-8")
    with pytest.raises(UserError, match="key 'b' stands here twice"):
        read_tree(path)
