"""What a network is taught by, and the losses of it."""
