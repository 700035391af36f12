"""selected: ``epoch`` with CES-KD's guidance only (one expert an image), beside the floors.

A round is a quarter as long, so floors are measured closer in time to the sides that are compared with them. Use
``--short --rounds 31`` where the machine's speed in bf16 changes every few seconds.
"""

from __future__ import annotations

from benchmarks import epoch


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    return epoch.run(rounds, short, threads, kinds=[kind for kind in epoch.KINDS if kind[0] == "selected"])
