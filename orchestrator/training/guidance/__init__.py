"""Distillation targets and losses of a training: experts, kinds of teaching, curriculum."""
