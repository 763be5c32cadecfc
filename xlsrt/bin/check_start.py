"""Say what is wrong with the options of run.sh before any work; run.sh asks first thing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.errors import UserError
from xlsrt.recipe import room, start
from xlsrt.recipe.decoding import find_configs, without_ngram
from xlsrt.recipe.options import check_model_choice, check_options, check_writable
from xlsrt.recipe.stages import StageTable, load_stages
from xlsrt.recipe.training import experiment


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="check_start", description=__doc__, allow_abbrev=False)
    parser.add_argument("--stages_config", nargs="+", required=True, help="stage table, later over earlier")
    parser.add_argument("--variants", default="default", help="rows of the table")
    parser.add_argument("--stage", type=int, default=1, help="first stage of run.sh")
    parser.add_argument("--stop_stage", type=int, default=13, help="last stage")
    parser.add_argument("--skip_data", type=yes_or_no, default=False, help="without stages 1 to 4")
    parser.add_argument("--skip_train", type=yes_or_no, default=False, help="without stages 5 to 9")
    parser.add_argument("--skip_eval", type=yes_or_no, default=False, help="without stages 10 to 13")
    parser.add_argument("--asr_exp", required=True, help="experiments without their suffix _stage<variant>")
    parser.add_argument("--pretrained", default="", help="encoder to start from; empty: as the files say")
    parser.add_argument("--train_config", nargs="+", required=True, help="training configuration")
    parser.add_argument("--last_config", nargs="*", default=[], help="laid over everything else")
    parser.add_argument("--adapt", type=yes_or_no, default=False, help="whether it is adapted first")
    parser.add_argument("--adapt_config", nargs="*", default=[], help="how")
    parser.add_argument("--adapt_exp", type=Path, help="its experiment")
    parser.add_argument("--adapt_sets", default="", help="its audio: sets below --data_dirs, or folders")
    parser.add_argument("--data_dirs", type=Path, nargs="*", default=[Path("data")], help="where sets lie")
    parser.add_argument("--use_ngram", default="auto", help="whether there will be an n-gram model")
    parser.add_argument("--lm_train_text", default="", help="more text for the n-gram model")
    parser.add_argument("--train_set", default="", help="training set")
    parser.add_argument("--prepares", nargs="*", default=[], help="sets that stage 1 makes from a corpus")
    parser.add_argument("--decode_configs", default="", help="decoding configurations")
    parser.add_argument("--config_folders", nargs="+", type=Path, default=[Path()], help="where they lie")
    parser.add_argument("--inference_asr_model", default="ave", help="what to decode with")
    parser.add_argument("--dumpdir", type=Path, help="where stage 2 puts the audio")
    parser.add_argument("--test_sets", default="", help="sets to decode")
    parser.add_argument("--num_splits_asr", type=int, default=1, help="parts of the training set")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that jobs on this machine are to use")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    # What is left over are options of run.sh of which only the values are of interest here.
    args, others = get_parser().parse_known_args(cmd)
    names = ("use_ngram", "num_splits_asr", "train_set", "test_sets")
    values = {name: str(getattr(args, name)) for name in names} | dict(
        word[2:].split("=", 1) for word in others
    )
    check_options(values)
    stages = range(args.stage, args.stop_stage + 1)
    table = load_stages(*args.stages_config)
    table.select(args.variants)
    exp = Path(args.asr_exp).parent
    check_writable("--expdir", exp)
    if args.dumpdir and args.stage <= 4 and not args.skip_data:
        check_writable("--dumpdir", args.dumpdir)
    decodes = args.stop_stage >= 10 and not args.skip_eval
    if decodes:
        check_model_choice(args.inference_asr_model, args.asr_exp)
    if decodes and args.dumpdir and (args.stage > 2 or args.skip_data):
        start.check_dumps(args.dumpdir / "raw", args.test_sets.split())
    if args.gpus > 0:
        from xlsrt.espnet_task.gpus import check_gpus

        check_gpus(args.gpus)
    start.check_texts(args.lm_train_text, args.data_dirs, stages)
    if args.stage == 1 and not args.skip_data:
        start.check_sets(args.data_dirs[-1], args.prepares)
    if decodes and args.decode_configs:
        check_decoding(args)
    if start.trains_first(stages) and not args.skip_train:
        configs = [*args.train_config, *args.last_config]
        adapting = args.adapt_config if args.adapt else []
        found = start.encoders(table, args.variants, args.asr_exp, configs, args.pretrained, adapting)
        for source, overrides in found.items():
            if not start.is_whole(source):
                check_encoder(source, overrides)
    models = 0
    if not args.skip_train:
        models = check_trainings(args, table, stages)
        if args.adapt and start.trains_first(stages):
            models += check_adaptation(args, stages)
        start.check_order(table, args.variants, stages, args.asr_exp)
    room.check_models_fit(exp, models)
    if args.dumpdir and 2 in stages and not args.skip_data:
        room.warn_of_audio(args.dumpdir, args.data_dirs[0], values, exp, models)
    return 0


# What needs torch or ESPnet is asked here: `xlsrt.recipe` loads neither.


def check_adaptation(args: argparse.Namespace, stages: range) -> int:
    """Its audio; and, where it is yet to come, its settings; loads ESPnet. Bytes that it will write."""
    made = bool(args.prepares) and stages.start == 1 and not args.skip_data
    start.check_audio(args.adapt_sets, args.data_dirs, made)
    settings = start.unseen_adaptation(
        args.adapt_exp, args.adapt_config, args.train_config, args.pretrained, args.last_config
    )
    if settings is None:
        return 0
    from xlsrt.espnet_task.settings import check_ssl_settings

    least = check_ssl_settings(settings, f"the adaptation (--adapt_config {', '.join(args.adapt_config)})")
    return room.still_to_write(least, args.adapt_exp) if args.adapt_exp else least


def check_trainings(args: argparse.Namespace, table: StageTable, stages: range) -> int:
    """Settings of trainings that are yet to come; loads ESPnet where there are any. Bytes they will write."""
    trainings = start.unseen_settings(
        table, args.variants, stages, args.asr_exp, args.train_config, args.last_config, args.pretrained
    )
    if not trainings:
        return 0
    from xlsrt.espnet_task.settings import check_settings

    files, models = " + ".join(args.train_config), 0
    for variant, settings in trainings.items():
        settings["multiple_iterator"] = args.num_splits_asr > 1
        least = check_settings(settings, f"training stage {variant} ({files} under {table.source})")
        models += room.still_to_write(least, experiment(args.asr_exp, variant))
    if args.train_set and not args.skip_data:
        start.check_languages(trainings.values(), args.data_dirs[-1] / args.train_set, stages, args.prepares)
    return models


def check_decoding(args: argparse.Namespace) -> None:
    """Files that are not there, and mistakes in them."""
    from xlsrt.decoding.config import DecodeConfig

    configs = find_configs(args.decode_configs, args.config_folders)
    for path in configs:
        DecodeConfig.from_file(path)
    if args.use_ngram == "false":
        without_ngram(configs)


def check_encoder(source: str, overrides: dict[str, object]) -> None:
    """Ask the encoder's reader, which loads torch."""
    from xlsrt.encoder.checkpoints import check_source

    try:
        check_source(source, **overrides)
    except UserError as error:
        raise UserError(
            f"the encoder to start from (--pretrained; looked up in {Path.cwd()}): {error}"
        ) from None


if __name__ == "__main__":
    run_main(main)
