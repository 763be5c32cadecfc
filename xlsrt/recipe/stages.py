"""The stage table, conf/stages.yaml: the variants, from what each starts, in which context it trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xlsrt.errors import UserError
from xlsrt.settings import check_keys
from xlsrt.tree import Tree, overlay, read_tree

# run.sh stage 5 trains stage 1 of the paper, and so on.
FIRST_RUN_STAGE = 5
PRETRAINED = "pretrained"

_SHARED_KEYS = {"epochs", "lr", "options"}
_STAGE_KEYS = {"title", "variants"} | _SHARED_KEYS
_VARIANT_KEYS = {"init_from", "train", "eval", "default"} | _SHARED_KEYS
_CONTEXT_KEYS = {
    "chunk_frames",
    "chunk_ms",
    "left_frames",
    "left_ms",
    "left",
    "sink_frames",
    "full_prob",
    "seed",
    "per_rank",
}


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: as in ``--variants``, e.g. "2b".
        stage: training stage, 1 to 5.
        title: what the stage is about.
        default: trained when ``--variants`` says "default".
        init_from: name of the variant whose best checkpoint it starts from; None: the pretrained encoder.
        train_context: for `xlsrt.context.training_context_from_dict`.
        eval_context: for `AttentionContext.from_dict`.
        epochs, lr: of this stage; None leaves the value of the training configuration.
        options: training options laid over the training configuration.
    """

    name: str
    stage: int
    title: str
    default: bool
    init_from: str | None
    train_context: Tree
    eval_context: Tree
    epochs: int | None = None
    lr: float | None = None
    options: Tree = field(default_factory=dict)

    @property
    def run_stage(self) -> int:
        """The number of the run.sh stage that trains it."""
        return FIRST_RUN_STAGE + self.stage - 1

    def __str__(self) -> str:
        return f"run.sh stage {self.run_stage}: training stage {self.name} ({self.title})"


class StageTable:
    """All variants in the order of the file."""

    def __init__(self, variants: Iterable[Variant], source: str = "conf/stages.yaml") -> None:
        self.source = source
        self.variants = {variant.name: variant for variant in variants}
        for variant in self.variants.values():
            self._check_start(variant)

    def _check_start(self, variant: Variant) -> None:
        if variant.init_from is None:
            return
        start = self[variant.init_from]
        if start.stage >= variant.stage:
            raise UserError(
                f"{self.source}: {variant.name} starts from {start.name}, which is not of an earlier stage: "
                f"stages are trained in their order, choose an init_from of stages 1 to {variant.stage - 1}"
            )

    def __getitem__(self, name: str) -> Variant:
        try:
            return self.variants[str(name)]
        except KeyError:
            raise UserError(
                f"unknown variant {name!r}: {self.source} has {' '.join(self.variants)}; "
                "'default' and 'all' mean several"
            ) from None

    def select(self, names: str, run_stage: int | None = None) -> list[Variant]:
        """What ``--variants`` ("default", "all" or names, blanks or commas between) means, in table order.

        ``run_stage``: what that stage of run.sh trains of it.
        """
        wanted: set[str] = set()
        for name in names.replace(",", " ").split():
            if name == "all":
                wanted |= set(self.variants)
            elif name == "default":
                wanted |= {variant.name for variant in self.variants.values() if variant.default}
            else:
                wanted.add(self[name].name)
        if not wanted:
            raise UserError("--variants is empty: say default, all, or names such as '1 2b'")
        chosen = [variant for variant in self.variants.values() if variant.name in wanted]
        return [variant for variant in chosen if run_stage in (None, variant.run_stage)]


def load_stages(*paths: str) -> StageTable:
    """Read the table; every further file is laid over the ones before, value by value."""
    if not paths:
        raise UserError("no stage table given")
    tree = overlay({}, *(_names_as_text(read_tree(path)) for path in paths))
    source = paths[-1] if len(paths) == 1 else " + ".join(paths)
    return StageTable(_parse(tree, source), source)


def _names_as_text(tree: Any) -> Any:
    """YAML reads the stage and variant name 1 as a number, in keys and in init_from."""
    if isinstance(tree, Mapping):
        return {str(key): _names_as_text(value) for key, value in tree.items()}
    return tree


def _parse(tree: Tree, source: str) -> list[Variant]:
    _refuse_unknown(tree, {"stages"}, source)
    variants: list[Variant] = []
    stages = tree.get("stages") or {}
    for number, stage in sorted(stages.items()):
        where = f"{source}: stage {number}"
        if not number.isdigit() or not 1 <= int(number) <= 5:
            raise UserError(f"{where}: training stages are numbered 1 to 5")
        _refuse_unknown(stage, _STAGE_KEYS, where)
        for name, row in (stage.get("variants") or {}).items():
            variants.append(_parse_variant(name, int(number), stage, row or {}, f"{source}: variant {name}"))
    if not variants:
        raise UserError(f"{source}: no variants; expected stages: {{1: {{variants: ...}}, ...}}")
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise UserError(f"{source}: the same variant name stands under two stages: {' '.join(names)}")
    return variants


def _parse_variant(name: str, stage_number: int, stage: Tree, row: Tree, where: str) -> Variant:
    _refuse_unknown(row, _VARIANT_KEYS, where)
    for key in ("init_from", "train"):
        if key not in row:
            raise UserError(f"{where}: `{key}` is missing")
    epochs = row.get("epochs", stage.get("epochs"))
    if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
        raise UserError(f"{where}: epochs must be a whole number above 0, not {epochs!r}")
    rate = row.get("lr", stage.get("lr"))
    if rate is not None and (isinstance(rate, (str, bool)) or rate <= 0):
        raise UserError(f"{where}: lr must be a number above 0 such as 1.0e-3, not {rate!r}")
    train = _parse_context(row["train"], f"{where}: train")
    evaluation = _parse_context(row.get("eval", row["train"]), f"{where}: eval")
    if "left" in evaluation or any(isinstance(value, (list, dict)) for value in evaluation.values()):
        raise UserError(
            f"{where}: validation needs one fixed context, add `eval: {{chunk_frames: ..., ...}}`"
        )
    start = str(row["init_from"])
    return Variant(
        name=name,
        stage=stage_number,
        title=stage.get("title", ""),
        default=bool(row.get("default", False)),
        init_from=None if start == PRETRAINED else start,
        train_context=train,
        eval_context=evaluation,
        epochs=epochs,
        lr=None if rate is None else float(rate),
        options=overlay(stage.get("options") or {}, row.get("options") or {}),
    )


def _parse_context(value: Any, where: str) -> Tree:
    """`full` or a mapping -> keys of `AttentionContext.from_dict`; their values are checked there."""
    if value == "full":
        return {"chunk_frames": None, "left_frames": None, "sink_frames": 0}
    if not isinstance(value, Mapping):
        raise UserError(
            f"{where}: expected `full` or {{chunk_frames: ..., left_frames: ..., sink_frames: ...}}"
        )
    _refuse_unknown(value, _CONTEXT_KEYS, where)
    return {key: None if key == "left_frames" and item == "all" else item for key, item in value.items()}


def _refuse_unknown(tree: Any, known: set[str], where: str) -> None:
    if not isinstance(tree, Mapping):
        raise UserError(f"{where}: expected `key: value` lines, found {tree!r}")
    check_keys(tree, sorted(known), where)
