"""The page's figures, by topic. Each is a mapping of ``data`` and ``layout`` for plotly.js.

They are written as plain mappings, not with plotly's Python classes, so that a page is made anew in a fraction of a
second while a run goes on; a test holds each against those classes.
"""
