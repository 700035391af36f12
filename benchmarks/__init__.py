"""Benchmarks: ratios to a floor that runs interleaved with the measured code. ``python -m benchmarks --help``."""
