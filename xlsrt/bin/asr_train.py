"""Train an XLSR-Transducer: ESPnet's options and ours, `--help` lists them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from xlsrt.bin import run_main


def get_parser() -> argparse.ArgumentParser:
    """ESPnet's parser for this task."""
    from xlsrt.espnet_task.task import XlsrASRTask

    return XlsrASRTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Train to the end; rerun to go on from the last checkpoint."""
    from xlsrt.espnet_task.task import XlsrASRTask

    XlsrASRTask.main(cmd=cmd)


if __name__ == "__main__":
    run_main(main)
