"""Set-up of a computing process, in a new process each, since it can't be reverted."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# A tensor of 8 MB is taken and given back by a thread, as Ray has trainings; how many pages does the system clear?
FAULTS = """
import resource, threading, torch
from orchestrator.training.process import set_up_process
set_up_process(1)
assert torch.get_num_threads() == 1
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def steps():
    for _ in range(20):
        torch.ones(2_000_000)
def work():
    steps()  # until every page of the thread's heap has been used once
    before = faults()
    steps()
    print(faults() - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
PAGES = 20 * 8_000_000 // 4096


def faults(**variables: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory does not come from glibc here")
class TestFreedMemory:
    def test_it_is_kept_for_the_next_step(self) -> None:
        assert faults() < PAGES / 20

    def test_it_is_not_changed_where_glibc_s_variables_are_set(self) -> None:
        assert faults(MALLOC_MMAP_THRESHOLD_="1000000") > PAGES / 2
