"""The report of a run: ``report.json`` for programs, ``report.md`` and ``report.html`` for people (docs/report.md).

    content.py   artifacts -> report.json, with measures.py and findings.py
    text.py      report.json -> Markdown
    page.py      report.json and the artifacts that it names -> one HTML file with everything in it
    writing.py   puts them into the storage, reading.py finds them there; compare.py makes one page of several runs

Imports neither torch nor ray; plotly, optuna and Pillow only when a page is made.
"""

from orchestrator.report.content.build import build, summary, warnings
from orchestrator.report.storage import write

__all__ = ["build", "summary", "warnings", "write"]
