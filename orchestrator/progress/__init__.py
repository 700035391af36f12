"""Progress of a run on the terminal. Imports neither torch nor ray.

``events.py`` puts the events of a run into words; ``lines.py`` and ``live.py`` are displays, plain lines and a table
that is drawn again in place; ``forecast.py`` estimates when the run ends. Nothing here decides anything.
"""

import os
import sys
from typing import TextIO

from orchestrator.progress.display import Display
from orchestrator.progress.lines import Lines


def display_for(stream: TextIO | None = None, quiet: bool = False, verbose: bool = False) -> Display:
    """Returns the table on a terminal; plain lines elsewhere, when quiet, and beside Ray's own logs (``verbose``)."""
    stream = stream or sys.stdout
    plain = quiet or verbose or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
    if plain:
        return Lines(quiet, stream)
    from orchestrator.progress.live import Live

    return Live(stream)
