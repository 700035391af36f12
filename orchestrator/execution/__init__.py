"""Where and when stages run: the executor, the connection to Ray, and checks before anything trains."""
