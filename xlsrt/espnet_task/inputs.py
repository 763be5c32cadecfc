"""Check what a training is given before it starts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.recipe.languages import languages_beside
from xlsrt.settings import typed

_LOSSES = ("loss", "loss_ctc", "loss_transducer")
FIGURES: Mapping[str, Sequence[str]] = {"train": _LOSSES, "valid": (*_LOSSES, "ter", "cer_ctc")}
"""Phases and their figures, of recognition."""


# None where an option knows it.
_LEAST = dict.fromkeys(("max_epoch", "accum_grad", "max_invalid_updates", "num_iters_per_epoch"), 1)
_LEAST |= dict.fromkeys(("batch_size", "valid_batch_size", "batch_bins", "valid_batch_bins"), 1)
_LEAST |= dict.fromkeys(("num_workers", "patience", "keep_last_models"), 0)


def check_choices(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse values that are none of an option's choices.

    argparse looks at those of the command line only, and a configuration file is read as defaults.
    """
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.choices is None or value is None or value in action.choices:
            continue
        known = [choice for choice in action.choices if choice is not None]
        raise UserError(f"{action.dest} is {value!r}; it must be one of {', '.join(known)}")


def check_numbers(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what a configuration file gives in place of a number, which argparse does not look at either."""
    for action in parser._actions:
        if action.type in (int, float) and isinstance(parser.get_default(action.dest), (int, float)):
            kind = int if action.type is int else int | float
            setattr(args, action.dest, typed(getattr(args, action.dest), kind, action.dest, endless=True))


def check_ranges(args: argparse.Namespace) -> None:
    """Refuse numbers that no training works with, or worse, that turn it upside down.

    Raises:
        UserError: naming the option, its value and what it may be.
    """
    for name, least in _LEAST.items():
        value = typed(getattr(args, name), int | None, name)
        if value is not None and value < least:
            raise UserError(f"{name} is {value}; it is at least {least}")
    if args.grad_clip <= 0:  # a negative one would turn every gradient round
        raise UserError(f"grad_clip is {args.grad_clip}; it must be above 0, and .inf clips nothing")
    kept = args.keep_nbest_models
    kept = [kept] if isinstance(kept, int) else kept
    if not isinstance(kept, list) or not kept or any(typed(n, int, "keep_nbest_models") < 1 for n in kept):
        raise UserError(
            f"keep_nbest_models is {args.keep_nbest_models}; a number of models from 1 on is needed"
        )
    if args.train_dtype == "float16":
        raise UserError(
            "train_dtype is float16; weights in half precision do not train: use_amp multiplies in it, and "
            "keeps them in float32"
        )


def read_token_list(source: str | Sequence[str] | None) -> list[str]:
    """The tokens of a file (one a line) or list, checked: "<blank>" first, "<unk>" present, "<sos/eos>" last.

    Raises:
        UserError: the file is missing or it is no token list of this recipe.
    """
    if isinstance(source, str):
        path = Path(source)
        if not path.exists():
            raise UserError(f"{path} (token_list): no such file; train the tokens first (stage 3 of run.sh)")
        tokens = path.read_text(encoding="utf-8").splitlines()
        named = str(path)
    else:
        tokens, named = list(source or []), "token_list"
    if len(tokens) < 3 or tokens[0] != "<blank>" or "<unk>" not in tokens or tokens[-1] != "<sos/eos>":
        raise UserError(
            f"{named}: not a token list: it must begin with <blank>, contain <unk> and end with <sos/eos>; "
            "make it with stage 3 of run.sh"
        )
    if len(set(tokens)) != len(tokens):
        twice = sorted({token for token in tokens if tokens.count(token) > 1})
        raise UserError(f"{named}: tokens listed twice: {', '.join(twice[:5])}")
    return tokens


def check_criteria(args: argparse.Namespace, figures: Mapping[str, Sequence[str]]) -> None:
    """The figures by which models are chosen exist: a wrong one would choose none, without a word."""
    if not args.best_model_criterion:
        raise UserError("best_model_criterion is empty: give [[train|valid, figure, min|max]]")
    chosen = [*args.best_model_criterion, args.early_stopping_criterion]
    for criterion in chosen:
        if len(criterion) != 3 or criterion[0] not in figures or criterion[2] not in ("min", "max"):
            raise UserError(f"criterion {list(criterion)}: give [train|valid, figure, min|max]")
        phase, figure, _ = criterion
        if figure not in figures[phase]:
            raise UserError(
                f"criterion {list(criterion)}: {phase} has no {figure}; it has {', '.join(figures[phase])}"
            )
    watched = args.val_scheduler_criterion
    if len(watched) != 2 or watched[1] not in figures.get(watched[0], ()):
        known = "; ".join(f"{phase}: {', '.join(names)}" for phase, names in figures.items())
        raise UserError(f"val_scheduler_criterion {list(watched)}: there is no such figure; {known}")


def check_data_options(args: argparse.Namespace, data_names: Sequence[str]) -> None:
    """Every named file exists and holds utterances, and every utterance to train on has all of its data.

    Raises:
        UserError: naming the file and the option.
    """
    for phase in ("train", "valid"):
        data = getattr(args, f"{phase}_data_path_and_name_and_type")
        shapes = getattr(args, f"{phase}_shape_file")
        names = [name for _, name, _ in data]
        for wanted in data_names:
            if wanted not in names:
                raise UserError(
                    f"--{phase}_data_path_and_name_and_type PATH,{wanted},TYPE is missing: training needs "
                    f"{' and '.join(data_names)}"
                )
        if not shapes:
            raise UserError(f"--{phase}_shape_file is missing: write shape files first (stage 4 of run.sh)")
        for part in _parts(shapes[0]) if phase == "train" and args.multiple_iterator else [""]:
            tables = [(path + part, name) for path, name, _ in data]
            if phase == "train" and args.language_balance < 1:
                tables.append((str(languages_beside(Path(tables[0][0]))), "language"))
            _check_keys(phase, [path + part for path in shapes], tables)


def _parts(folder: str) -> list[str]:
    """Of a folder of splits: what follows its path in the path of each split."""
    count = Path(folder, "num_splits")
    if not count.is_file():
        raise UserError(
            f"{folder} (multiple_iterator): not a folder of splits; make it with "
            "`python -m xlsrt.bin.split_data`"
        )
    return [f"/split.{number}" for number in range(int(count.read_text(encoding="utf-8")))]


def _check_keys(phase: str, shapes: Sequence[str], data: Sequence[tuple[str, str]]) -> None:
    """Shape files list the same utterances, and every data file (path, name) has them."""
    wanted_keys: set[str] | None = None
    for path in shapes:
        keys = _keys(path, f"--{phase}_shape_file")
        if not keys:
            raise UserError(
                f"{path}: no utterances; all of them were filtered out, or the {phase} set is empty"
            )
        if wanted_keys is not None and keys != wanted_keys:
            odd = sorted(keys ^ wanted_keys)[0]
            raise UserError(
                f"{path} and {shapes[0]} list different utterances, for instance {odd}; redo stage 4"
            )
        wanted_keys = keys
    for path, name in data:
        absent = (wanted_keys or set()) - _keys(path, f"--{phase}_data_path_and_name_and_type")
        if absent:
            raise UserError(
                f"{path} has no {name} for {len(absent)} utterances of {shapes[0]}, for instance "
                f"{sorted(absent)[0]}; redo stages 2 and 4"
            )


def _keys(path: str, option: str) -> set[str]:
    if not Path(path).is_file():
        raise UserError(f"{path} ({option}): no such file")
    try:
        with open(path, encoding="utf-8") as stream:
            return {line.split(maxsplit=1)[0] for line in stream if line.strip()}
    except UnicodeDecodeError as error:
        raise UserError(f"{path} ({option}): not UTF-8 ({error.reason} at byte {error.start})") from error
