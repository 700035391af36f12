"""The training loop and what it is made of: plain PyTorch, the same in a Ray Train worker, a Tune trial and a test."""
