"""Ray for the duration of one run: connected or started when first needed, disconnected at the end."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from types import TracebackType

from orchestrator.execution import ray_connection
from orchestrator.execution.head_watch import HeadWatch
from orchestrator.execution.ray_address import Cluster
from orchestrator.interruption import Interruption


class RaySession:
    """Context manager of the connection to Ray, which is opened once.

    Args:
        address: address of a cluster; None for the one that this machine is on, else a local one.
        verbose: show Ray's logs.
        say: called with a line when Ray is up.
        warn: called with a line for each problem.
        interruption: the run's.
    """

    def __init__(
        self, address: str | None, verbose: bool, say: Callable[[str], None], warn: Callable[[str], None],
        interruption: Interruption,
    ) -> None:  # fmt: skip
        self.address, self.verbose, self.say, self.warn, self.interruption = address, verbose, say, warn, interruption
        self.cluster: Cluster | None = None
        self._opened = contextlib.ExitStack()
        self._is_open = False

    def __enter__(self) -> RaySession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def find(self) -> None:
        """Find the cluster to use, if any, and check that it answers, before anything else is done.

        Raises:
            RecipeError: when the cluster can't be used.
        """
        self.cluster = ray_connection.find(self.address)

    def open(self) -> None:
        """Connect to the cluster that ``find`` found, else start Ray here.

        Raises:
            RecipeError: when that fails.
        """
        if self._is_open:
            return
        self._is_open = True
        if not self.verbose:
            # Ray prints warnings to the driver's standard output at any log level; the display keeps the original one.
            nowhere = self._opened.enter_context(contextlib.closing(io.TextIOWrapper(io.FileIO(os.devnull, "w"))))
            self._opened.enter_context(contextlib.redirect_stdout(nowhere))
        self._opened.callback(ray_connection.disconnect)
        ray_connection.connect(self.cluster, self.interruption, self.warn, self.verbose)
        import ray  # its environment is set by now

        address = ray.get_runtime_context().gcs_address
        self._opened.enter_context(HeadWatch(address, self.interruption.stop))
        has = ray.cluster_resources()
        count = sum(node["Alive"] for node in ray.nodes())
        where = f"{has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs on {count} node(s)"
        self.say(f"Ray is up: {where}")
