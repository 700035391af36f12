"""Table of a run on a terminal: the stages that matter now, drawn again in place."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as Drawing
from rich.text import Text

from orchestrator.artifacts.trials import Point
from orchestrator.execution.run_state import RunState, StageEntry
from orchestrator.pipeline.kinds import KINDS, LOOKS, Look, look_of
from orchestrator.pipeline.stage_state import State
from orchestrator.progress.forecast import Forecast
from orchestrator.progress.words import describe, duration, outcome, settings, wait_for_room

MARKS: dict[State, tuple[str, str, str]] = {  # mark, mark where only ASCII can be shown, style
    "waiting": ("·", ".", "dim"),
    "running": ("▶", ">", "cyan"),
    "done": ("✔", "+", "green"),
    "kept": ("✔", "+", "dim"),
    "failed": ("✘", "x", "bold red"),
    "blocked": ("✘", "x", "red"),
}
Row = tuple[State, str, str]
SHOWN_NAMES = 2  # of the stages that one waits for
OTHER_LINES = 7  # of the view: its head and foot, and a line for the cursor


class Live:
    """One table that is drawn again in place; other lines stand above it."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self.console = console or Console(file=stream, highlight=False)
        self.started = time.monotonic()
        self.drawing: Drawing | None = None

    def say(self, text: str) -> None:
        self.console.print(text, style="dim", markup=False)

    def warn(self, text: str) -> None:
        self.console.print(text, style="red", markup=False)

    def event(self, text: str) -> None:
        return None  # the table shows it

    def refresh(self, run: RunState, forecast: Forecast) -> None:
        if self.drawing is None:
            # Drawn by the caller's own rhythm, not by a thread beside it: a Ctrl-C then never strikes half a drawing.
            self.drawing = Drawing(
                console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self.drawing.start()
        self.drawing.update(self.render(run, forecast), refresh=True)

    def close(self) -> None:
        if self.drawing is not None:
            self.drawing.stop()
            self.drawing = None

    def render(self, run: RunState, forecast: Forecast) -> Group:
        """Returns the table as it stands now."""
        elapsed = duration(time.monotonic() - self.started)
        rows = self._rows(run)
        width = min(max(len(name) for _, name, _ in rows), self.console.width // 3)
        lines = [Text(), Text(f"{forecast.overall(run)}, {elapsed} so far", style="bold")]
        lines += [self._line(state, name, words, width) for state, name, words in rows]
        best = best_trial(run)
        if best is not None:
            accuracy, config = best
            lines.append(Text(f"best trial so far: validation {accuracy:.1%} with {settings(config)}"))
        lines.append(Text("Ctrl-C stops; finished stages are cached", style="dim"))
        for line in lines:
            line.truncate(self.console.width, overflow="ellipsis")
        return Group(*lines)

    # -- its lines -----------------------------------------------------------------------------------------------

    def _rows(self, run: RunState) -> list[Row]:
        nodes = {entry.status["node"] for entry in run.stages.values() if "node" in entry.status}
        looks = {name: look_of(entry.stage.kind, entry.stage.facts.part) for name, entry in run.stages.items()}
        stages = [entry for name, entry in run.stages.items() if looks[name].heading is None]
        grouped: list[Row] = []
        for look in LOOKS:
            entries = [entry for name, entry in run.stages.items() if looks[name] == look]
            if look.heading and entries:
                grouped += self._group(run, look, entries, len(nodes) > 1)
        room = self.console.height - OTHER_LINES - len(grouped)
        rows: list[Row] = []
        for states, words in ((("kept",), "cached"), (("done",), "done"), (("waiting",), "waiting")):
            # A small window keeps what runs and what failed; the rest is told by its number.
            if len(stages) <= room:
                break
            folded = [entry for entry in stages if entry.state in states]
            if len(folded) > 1:
                stages = [entry for entry in stages if entry.state not in states]
                rows.append((folded[0].state, f"{len(folded)} stages", words))
                room -= 1
        rows += [self._stage(run, entry, len(nodes) > 1) for entry in stages]
        return [*rows, *grouped]

    def _group(self, run: RunState, look: Look, mine: list[StageEntry], several_nodes: bool) -> list[Row]:
        """Returns one line for all stages of a look, and one for each of them that runs or failed."""
        count = {state: sum(entry.state == state for entry in mine) for state in MARKS}
        there = count["done"] + count["kept"]
        words = [f"{there} of {len(mine)} done"]
        if count["kept"]:
            words.append(f"{count['kept']} of them cached")
        if count["failed"] + count["blocked"]:
            words.append(f"{count['failed'] + count['blocked']} can't be done")
        state: State = "done" if there == len(mine) else "running" if count["running"] else "waiting"
        long = any(KINDS[entry.stage.kind].takes_slots for entry in mine)  # brief ones would come and go
        shown = ("running", "failed") if long else ("failed",)
        return [
            (state, look.heading or look.word, ", ".join(words)),
            *(self._stage(run, entry, several_nodes, "  ") for entry in mine if entry.state in shown),
        ]

    def _stage(self, run: RunState, entry: StageEntry, several_nodes: bool, indent: str = "") -> Row:
        name = (indent and entry.stage.facts.label) or entry.stage.name
        return entry.state, indent + name, self._words(run, entry, several_nodes)

    def _words(self, run: RunState, entry: StageEntry, several_nodes: bool) -> str:
        if entry.state == "kept":
            return "cached"
        if run.waits_for_room(entry):
            return wait_for_room(run, entry)
        if entry.state == "waiting":
            names = waits_for(run, entry)
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            return f"waits for {', '.join(names[:SHOWN_NAMES])}{more}" if names else "next in line"
        if entry.state == "running":
            where = f" on {entry.status['node']}" if several_nodes and "node" in entry.status else ""
            shown = entry.status.copy()
            shown.pop("best", None)
            return describe(shown, entry.seconds_left) + where
        seconds = "" if entry.seconds is None else f"{duration(entry.seconds)}  "
        return f"{seconds}{outcome(entry)}"

    def _line(self, state: State, name: str, words: str, width: int) -> Text:
        mark, plain, style = MARKS[state]
        faint = "dim" if state in ("waiting", "kept") else "red" if state in ("failed", "blocked") else ""
        shown = Text(name, style=faint)
        shown.truncate(width, overflow="ellipsis", pad=True)
        start = Text(plain if self.console.options.ascii_only else mark, style=style)
        return Text.assemble(start, " ", shown, "  ", Text(words, style=faint))


def waits_for(run: RunState, entry: StageEntry) -> list[str]:
    """Returns the names of the stages that a waiting one needs and that are not there yet."""
    return [upstream.stage.name for upstream in run.inputs_of(entry.stage) if not upstream.is_there]


def best_trial(run: RunState) -> tuple[float, Point] | None:
    """Returns validation accuracy and settings of the best trial of the search that began last; None without one."""
    searches = [entry for entry in run.stages.values() if "best" in entry.status]
    if not searches:
        return None
    last = max(searches, key=lambda entry: entry.since or 0.0)
    return last.status["accuracy"] or 0.0, last.status["best"]
