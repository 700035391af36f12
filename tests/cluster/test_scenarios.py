"""Runs on hosts that are cut off, killed and lost: each ends with the complete report and the weights of one machine.

``make test-cluster`` runs them; each prints its seconds.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.cluster import GCS, RAYLET, WORKERS, Cluster, Command

pytestmark = pytest.mark.cluster

SAME_COMMAND = "the same command continues"
TAS = ("plain_cnn_6", "plain_cnn_4")


def check_complete(cluster: Cluster, name: str, expected: dict[str, str]) -> None:
    """The run's report is complete, its weights are the expected ones, and nothing is left behind."""
    results = cluster.results(name)
    assert results.weights() == expected
    assert {row["method"] for row in results.report()["methods"]} == {"kd", "ces_kd"}
    assert results.left_behind() == []
    assert cluster.drivers() == []


def check_ends_well(command: Command) -> None:
    assert command.finish() == 0, command.text[-4000:]
    print(f"{command.seconds:.0f} s")


def wait_for_tas(cluster: Cluster, command: Command, name: str) -> None:
    """Wait until both TAs train, each on a host of its own, and one has a checkpoint."""
    results = cluster.results(name)
    command.wait_until(lambda: "train/plain_cnn_8" in results.artifacts(), "the teacher ends")
    teacher = results.artifacts()["train/plain_cnn_8"]["identity"]
    command.wait_until(lambda: teacher not in results.checkpoints(), "the teacher's workers end")
    command.wait_until(lambda: len(cluster.hosts_of_trainings()) == len(WORKERS), "both TAs train")
    command.wait_until(lambda: bool(results.checkpoints()), "a TA has a checkpoint")
    assert not any(f"train/{network}" in results.artifacts() for network in TAS), "too late to show anything"


def test_weights_of_two_hosts_are_bit_for_bit_those_of_one_machine(cluster: Cluster, expected: dict[str, str]) -> None:
    command = cluster.run("undisturbed")
    check_ends_well(command)
    assert "2 CPUs, 0 GPUs on 3 node(s)" in command.text
    check_complete(cluster, "undisturbed", expected)
    nodes = {record["node"] for record in cluster.results("undisturbed").artifacts().values()}
    assert {"w1", "w2"} <= nodes


def test_a_host_that_is_cut_off_while_tas_train_costs_no_result_and_is_used_when_it_is_back(
    cluster: Cluster, expected: dict[str, str]
) -> None:
    command = cluster.run("cut_ta")
    wait_for_tas(cluster, command, "cut_ta")
    cluster.hosts.cut("w2")
    command.wait_until(lambda: "train/plain_cnn_4" in cluster.results("cut_ta").artifacts(), "the TAs end")
    cluster.hosts.mend("w2")
    mended = time.time()
    check_ends_well(command)
    check_complete(cluster, "cut_ta", expected)
    cluster.wait_for_workers()
    print(f"Ray is back on w2 {time.time() - mended:.0f} s after the mend")


def test_a_host_that_is_cut_off_while_trials_run_costs_no_result(cluster: Cluster, expected: dict[str, str]) -> None:
    command = cluster.run("cut_trial")
    command.wait_until(lambda: len(cluster.results("cut_trial").trials()) >= 1, "a trial ends")
    cluster.hosts.cut("w2")
    check_ends_well(command)
    check_complete(cluster, "cut_trial", expected)


def test_a_raylet_that_is_killed_costs_no_result(cluster: Cluster, expected: dict[str, str]) -> None:
    command = cluster.run("raylet")
    wait_for_tas(cluster, command, "raylet")
    for raylet in cluster.hosts.processes("w1", RAYLET):
        raylet.kill()
    check_ends_well(command)
    check_complete(cluster, "raylet", expected)


def test_a_lost_session_is_reported_and_the_same_command_continues(cluster: Cluster, expected: dict[str, str]) -> None:
    errors = cluster.hosts.shared / "session-errors.txt"
    command = cluster.run("session", "2>/mnt/shared/session-errors.txt", terminal=True)
    wait_for_tas(cluster, command, "session")
    cluster.hang_up()
    lost = time.monotonic()
    while cluster.drivers():
        assert time.monotonic() - lost < 30, "the run did not end"
        time.sleep(0.1)
    print(f"ended {time.monotonic() - lost:.0f} s after its session")
    assert SAME_COMMAND in errors.read_text() and "Traceback" not in errors.read_text()
    again = cluster.run("session")
    check_ends_well(again)
    check_complete(cluster, "session", expected)


def test_a_storage_that_differs_between_hosts_is_refused_at_the_start(cluster: Cluster) -> None:
    command = cluster.on_head(f"cd ~/ces-kd && {cluster.command('own').replace('/mnt/shared/own', '/mnt/own/runs')}")
    up = command.wait_for("Ray is up")
    assert command.finish() == 2, command.text
    print(f"{command.seconds - up:.1f} s after Ray is up")
    assert command.seconds - up < 20
    (line,) = [line for line in command.text.splitlines() if line.startswith("error: ")]
    assert "/mnt/own/runs" in line and "w1" in line and "w2" in line
    assert "Traceback" not in command.text


def test_a_lost_head_ends_the_run_with_a_message_and_a_job_continues_it_on_a_new_head(
    cluster: Cluster, expected: dict[str, str]
) -> None:
    command = cluster.run("head")
    wait_for_tas(cluster, command, "head")
    (gcs,) = cluster.hosts.processes("head", GCS)
    gcs.kill()
    killed = time.monotonic()
    assert command.finish() == 1, command.text[-4000:]
    print(f"ended {time.monotonic() - killed:.0f} s after the head; what it printed:\n{command.text[-1200:]}")
    assert SAME_COMMAND in command.text and "Traceback" not in command.text
    up = cluster.up()
    assert up.finish() == 0, up.text[-4000:]
    cluster.wait_for_workers()
    job = cluster.submit("head")
    check_ends_well(job)
    assert "succeeded" in job.text
    check_complete(cluster, "head", expected)
