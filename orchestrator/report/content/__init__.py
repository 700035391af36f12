"""The content of ``report.json``."""
