"""The report of a run: ``report.json`` for programs, ``report.md`` and ``report.html`` for readers (docs/report.md).

    content/      artifacts -> the content of report.json, by the schema of schema.py
    markdown.py   content -> report.md
    page/         content and the artifacts that it names -> one HTML file with everything in it; several runs on a page
    templates.py  fills the Jinja2 templates of both; words.py has their numbers and lists in words
    storage.py    writes and reads reports; serve.py shows them in a browser

Imports neither torch nor ray; Jinja2, plotly, optuna and Pillow only when a page is made.
"""

from orchestrator.report.content.build import build, summary, warnings
from orchestrator.report.storage import write

__all__ = ["build", "summary", "warnings", "write"]
