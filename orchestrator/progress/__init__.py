"""What a person sees while a run goes on. Imports neither torch nor ray.

``state.py`` is how far every stage is; ``lines.py`` and ``live.py`` show it, as plain lines or as one view that renews
itself; ``forecast.py`` says when the run ends.
"""

import os
import sys
from typing import TextIO

from orchestrator.progress.lines import Lines
from orchestrator.progress.state import View


def view_for(stream: TextIO | None = None, quiet: bool = False, verbose: bool = False) -> View:
    """The live view on a terminal; plain lines elsewhere, when quiet, and beside Ray's own logs (``verbose``)."""
    stream = stream or sys.stdout
    plain = quiet or verbose or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
    if plain:
        return Lines(quiet, stream)
    from orchestrator.progress.live import Live

    return Live(stream)
