from __future__ import annotations

from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.launch import first_log, launch_command, remove_meeting_points

TRAIN = ["py", "-m", "train"]
EXP = Path("exp/x")


def command(ngpu: int, num_nodes: int, backend: str = "run", more: str = "") -> list[str]:
    cmd = f"{backend}.pl --mem 4G{more}"
    return launch_command(TRAIN, cmd, EXP / "train.log", ngpu, num_nodes, "py", EXP, num_workers=2)


def test_one_process_and_one_node_go_through_the_backend() -> None:
    head = ["run.pl", "--mem", "4G", "--gpu"]
    assert command(0, 1) == [*head, "0", "exp/x/train.log", *TRAIN, "--ngpu", "0"]
    assert command(1, 1) == [*head, "1", "exp/x/train.log", *TRAIN, "--ngpu", "1"]
    several = [*head, "4", "exp/x/train.log", *TRAIN, "--ngpu", "4", "--multiprocessing_distributed", "true"]
    assert command(4, 1) == several


def test_cpu_ranks_are_ours_and_gpu_nodes_are_espnets() -> None:
    ranks = command(0, 2)
    assert ranks[:6] == ["run.pl", "--mem", "4G", "--gpu", "0", "exp/x/train.log"]
    assert ranks[ranks.index("--num_ranks") + 1] == "2"
    for nodes in (command(8, 2, "slurm"), command(0, 2, "slurm"), command(8, 2, "queue")):
        assert "espnet2.bin.launch" in nodes
        assert nodes[nodes.index("--num_nodes") + 1] == "2"
        assert nodes[-3:] == TRAIN
    # Grid Engine and PBS without GPU: one job that holds the ranks and says how many processors it needs.
    one = command(0, 2, "pbs")
    assert "xlsrt.bin.cpu_ranks" in one
    assert one[one.index("--num-threads") + 1] == "6"


@pytest.mark.parametrize("backend", ["slurm", "pbs"])
def test_a_job_on_one_node_asks_for_its_processors(backend: str) -> None:
    """Its ranks and what reads data for them once had to share the one that a queue gives unasked."""
    head = [f"{backend}.pl", "--mem", "4G"]
    assert command(4, 1, backend)[:7] == [*head, "--num-threads", "12", "--gpu", "4"]
    assert command(0, 1, backend)[:7] == [*head, "--num-threads", "3", "--gpu", "0"]
    assert command(4, 1, backend, " --num-threads 8")[:7] == [*head, "--num-threads", "8", "--gpu", "4"]
    assert "--num-threads" not in command(4, 2, backend), "ESPnet's launcher asks"
    for other in ("ssh", "run", "queue"):
        assert "--num-threads" not in command(4, 1, other)
        assert "--num-threads" not in command(0, 1, other)
    # Which multiplies memory by them.
    assert command(0, 4, "queue")[3:5] == ["--num-threads", "4"]


def test_ssh_starts_each_node_as_a_numbered_job() -> None:
    nodes = command(4, 3, "ssh")
    assert nodes[:3] == ["ssh.pl", "--mem", "4G"]
    assert nodes[nodes.index("--together") + 1 : -2] == ["true", "JOB=1:3"]
    assert nodes[-2] == "exp/x/train.JOB.log"
    assert nodes[-1].startswith("py -m train --ngpu 4 --dist_world_size 3 --multiprocessing_distributed true")
    assert nodes[-1].endswith("--dist_rank $((JOB - 1))")
    assert f"file://{Path.cwd()}/exp/x/.dist_init" in nodes[-1]
    assert nodes[-1] != command(4, 3, "ssh")[-1], "a meeting point is used once"
    assert first_log(EXP / "train.log", "ssh.pl", 3) == EXP / "train.1.log"
    assert first_log(EXP / "train.log", "slurm.pl", 3) == first_log(EXP / "train.log", "ssh.pl", 1)


def test_what_dead_ranks_left_goes(tmp_path: Path) -> None:
    for name in (".dist_init", ".dist_init0a-b", "checkpoint.pth"):
        (tmp_path / name).touch()
    remove_meeting_points(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pth"]


@pytest.mark.parametrize(("ngpu", "num_nodes"), [(-1, 1), (1, 0), (1, 2)])
def test_impossible_machines_are_refused(ngpu: int, num_nodes: int) -> None:
    with pytest.raises(UserError, match="--ngpu"):
        command(ngpu, num_nodes)
