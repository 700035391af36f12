"""Ray for the time of one run: connected or started when it is first needed, and left again at the end."""

from __future__ import annotations

import contextlib
import io
import os
from types import TracebackType

from orchestrator import ray_connection
from orchestrator.interruption import Interruption
from orchestrator.progress.state import View


class RaySession:
    """Opens Ray once, however often it is asked to; ``nodes`` are then the resources of each node that is up."""

    def __init__(self, address: str | None, verbose: bool, view: View, interruption: Interruption) -> None:
        self.address, self.verbose, self.view, self.interruption = address, verbose, view, interruption
        self.nodes: list[dict[str, float]] = []
        self._opened = contextlib.ExitStack()
        self._is_open = False

    def __enter__(self) -> RaySession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def open(self) -> None:
        """Connect to the cluster, or start Ray here.

        Raises:
            RecipeError: when neither is possible.
        """
        if self._is_open:
            return
        self._is_open = True
        if not self.verbose:
            # Ray prints its own warnings on the driver's standard output whatever its log level; the view's was opened
            # before.
            nowhere = self._opened.enter_context(contextlib.closing(io.TextIOWrapper(io.FileIO(os.devnull, "w"))))
            self._opened.enter_context(contextlib.redirect_stdout(nowhere))
        cluster = ray_connection.find(self.address, self.view.warn)  # may set what Ray reads when it is imported
        import ray

        self._opened.callback(ray.shutdown)
        with self.interruption.held():
            ray_connection.connect(cluster, self.verbose)
        has = ray.cluster_resources()
        self.nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        where = f"{has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs on {len(self.nodes)} node(s)"
        self.view.say(f"Ray is up: {where}")
