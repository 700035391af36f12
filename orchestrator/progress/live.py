"""The live view of a run on a terminal: every stage that matters now, renewed in place."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as Display
from rich.text import Text

from orchestrator.progress.forecast import overall
from orchestrator.progress.state import Progress, StageGroup, StageProgress, State
from orchestrator.progress.words import describe, duration, settings

MARKS: dict[State, tuple[str, str, str]] = {  # mark, mark where only ASCII can be shown, style
    "waiting": ("·", ".", "dim"),
    "running": ("▶", ">", "cyan"),
    "done": ("✔", "+", "green"),
    "kept": ("✔", "+", "dim"),
    "failed": ("✘", "x", "bold red"),
    "blocked": ("✘", "x", "red"),
}
GROUPS: dict[StageGroup, str] = {"student": "final students", "evaluation": "evaluations"}
Row = tuple[State, str, str]
SHOWN_NAMES = 2  # of the stages that one waits for
OTHER_LINES = 7  # of the view: its head and foot, and a line for the cursor


class Live:
    """One table that is drawn again in place; what is said beside it stands above it."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self.console = console or Console(file=stream, highlight=False)
        self.started = time.monotonic()
        self.display: Display | None = None

    def say(self, text: str) -> None:
        self.console.print(text, style="dim", markup=False)

    def warn(self, text: str) -> None:
        self.console.print(text, style="red", markup=False)

    def event(self, text: str) -> None:
        return None  # the table shows it

    def refresh(self, run: Progress) -> None:
        if self.display is None:
            # Drawn by the caller's own rhythm, not by a thread beside it: a Ctrl-C then never strikes half a drawing.
            self.display = Display(
                console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self.display.start()
        self.display.update(self.render(run), refresh=True)

    def close(self) -> None:
        if self.display is not None:
            self.display.stop()
            self.display = None

    def render(self, run: Progress) -> Group:
        """The view as it stands now."""
        elapsed = duration(time.monotonic() - self.started)
        rows = self._rows(run)
        width = min(max(len(name) for _, name, _ in rows), self.console.width // 3)
        lines = [Text(), Text(f"{overall(run)}, {elapsed} so far", style="bold")]
        lines += [self._line(state, name, words, width) for state, name, words in rows]
        best = run.best_trial()
        if best is not None:
            accuracy, config = best
            lines.append(Text(f"best trial so far: validation {accuracy:.1%} with {settings(config)}"))
        lines.append(Text("Ctrl-C stops; what is finished is kept", style="dim"))
        for line in lines:
            line.truncate(self.console.width, overflow="ellipsis")
        return Group(*lines)

    # -- its lines -----------------------------------------------------------------------------------------------

    def _rows(self, run: Progress) -> list[Row]:
        nodes = {entry.status["node"] for entry in run.stages.values() if "node" in entry.status}
        stages = [entry for entry in run.stages.values() if entry.group == "stage"]
        grouped = [
            row for group in GROUPS if run.count(*MARKS, group=group) for row in self._group(run, group, len(nodes) > 1)
        ]
        room = self.console.height - OTHER_LINES - len(grouped)
        rows: list[Row] = []
        for states, words in ((("kept",), "kept from before"), (("done",), "done"), (("waiting",), "waiting")):
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

    def _group(self, run: Progress, group: StageGroup, several_nodes: bool) -> list[Row]:
        """One line for all stages of a kind, and one for each of them that runs or failed."""
        mine = [entry for entry in run.stages.values() if entry.group == group]
        count = {state: sum(entry.state == state for entry in mine) for state in MARKS}
        there = count["done"] + count["kept"]
        words = [f"{there} of {len(mine)} done"]
        if count["kept"]:
            words.append(f"{count['kept']} of them kept from before")
        if count["failed"] + count["blocked"]:
            words.append(f"{count['failed'] + count['blocked']} can't be done")
        state: State = "done" if there == len(mine) else "running" if count["running"] else "waiting"
        shown = ("running", "failed") if group == "student" else ("failed",)
        return [
            (state, GROUPS[group], ", ".join(words)),
            *(self._stage(run, entry, several_nodes, "  ") for entry in mine if entry.state in shown),
        ]

    def _stage(self, run: Progress, entry: StageProgress, several_nodes: bool, indent: str = "") -> Row:
        name = (indent and entry.stage.facts.label) or entry.stage.name
        return entry.state, indent + name, self._words(run, entry, several_nodes)

    def _words(self, run: Progress, entry: StageProgress, several_nodes: bool) -> str:
        if entry.state == "kept":
            return "kept from before"
        if entry.state == "waiting":
            names = run.waits_for(entry)
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            return f"waits for {', '.join(names[:SHOWN_NAMES])}{more}" if names else "next in line"
        if entry.state == "running":
            where = f" on {entry.status['node']}" if several_nodes and "node" in entry.status else ""
            shown = {key: value for key, value in entry.status.items() if key != "best"}
            return describe(shown, entry.seconds_left) + where
        seconds = "" if entry.seconds is None else f"{duration(entry.seconds)}  "
        return f"{seconds}{entry.words}"

    def _line(self, state: State, name: str, words: str, width: int) -> Text:
        mark, plain, style = MARKS[state]
        faint = "dim" if state in ("waiting", "kept") else "red" if state in ("failed", "blocked") else ""
        shown = Text(name, style=faint)
        shown.truncate(width, overflow="ellipsis", pad=True)
        start = Text(plain if self.console.options.ascii_only else mark, style=style)
        return Text.assemble(start, " ", shown, "  ", Text(words, style=faint))
