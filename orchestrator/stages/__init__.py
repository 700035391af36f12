"""Functions of the stage kinds, one module each; the only callers of Ray's libraries besides the executor."""
