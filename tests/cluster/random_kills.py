"""Worker hosts killed at random moments: ``python -m tests.cluster.random_kills [--times 10] [--seed 0]``.

Each run loses one of the two worker hosts, all of whose Ray processes are killed at once, at a moment drawn evenly from
the time that an undisturbed run takes. Prints for each run the host, the moment, the seconds lost and how many weights
are not those of one machine; exit code 1 if a run did not end well or a weight differs.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from dataclasses import dataclass

from tests.cluster.cluster import ALONE, WORKERS, Cluster, brought_up
from tests.cluster.hosts import reason_to_skip

RAY_PROCESSES = ("/ray/", "ray::")  # raylet, agents and workers by their command lines
UNDISTURBED = 2  # runs


@dataclass(frozen=True)
class Outcome:
    """One run: the host that it lost, when, how long it took, and how many of its weights are other ones."""

    host: str
    moment: float
    seconds: float
    code: int
    differing: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reason = reason_to_skip()
    if reason:
        print(f"skipped: {reason}")
        return 0
    with brought_up() as cluster:
        usual = statistics.mean(undisturbed(cluster, number) for number in range(UNDISTURBED))
        print(f"undisturbed: {usual:.0f} s (mean of {UNDISTURBED})", flush=True)
        generator, outcomes = random.Random(options.seed), []
        for number in range(options.times):
            host, moment = generator.choice(WORKERS), generator.uniform(0, usual)
            outcomes.append(killed(cluster, f"killed-{number}", host, moment))
            print(f"{number + 1}: {outcomes[-1]}, {outcomes[-1].seconds - usual:.0f} s lost", flush=True)
    lost = [outcome.seconds - usual for outcome in outcomes]
    whole = sum(outcome.code == 0 for outcome in outcomes)
    differing = sum(outcome.differing for outcome in outcomes)
    print(f"{whole} of {len(outcomes)} runs complete, {differing} weights differ")
    print(f"seconds lost: median {statistics.median(lost):.0f}, worst {max(lost):.0f}")
    return int(whole < len(outcomes) or differing > 0)


def undisturbed(cluster: Cluster, number: int) -> float:
    """Returns the seconds of a run that nothing disturbs."""
    command = cluster.run(f"undisturbed-{number}")
    assert command.finish() == 0, command.text[-4000:]
    return command.seconds


def killed(cluster: Cluster, name: str, host: str, moment: float) -> Outcome:
    """Run while a host is lost at a moment, in seconds from the run's start."""
    command = cluster.run(name)
    while command.process.poll() is None and time.monotonic() - command.started < moment:
        time.sleep(0.05)
    for pattern in RAY_PROCESSES:
        for process in cluster.hosts.processes(host, pattern):
            process.kill()
    code = command.finish()
    if code:
        print(command.text[-4000:])
    expected, weights = cluster.results(ALONE).weights(), cluster.results(name).weights()
    differing = sum(weights.get(network) != checksum for network, checksum in expected.items())
    cluster.restore()
    return Outcome(host, round(moment, 1), round(command.seconds, 1), code, differing)


if __name__ == "__main__":
    sys.exit(main())
