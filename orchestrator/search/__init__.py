"""Proposals of a search for hyper-parameters."""
