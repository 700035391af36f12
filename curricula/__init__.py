"""Curricula: which images are in play at a step, and which expert teaches each. Pure functions of arrays, numpy only.

``difficulty`` computes a score an image from logits, and ranks from scores; ``pacing`` maps progress to a fraction;
``selection`` assigns one expert to every image; ``curriculum`` combines the three.
"""
