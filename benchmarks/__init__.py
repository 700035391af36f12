"""Benchmarks: ratios to a floor that runs interleaved with what is measured. ``python -m benchmarks --help``."""
