"""Execution of stages on Ray: the executor, the connection to a cluster, and checks before anything trains."""
