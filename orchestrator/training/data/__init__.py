"""Images, batches and views that a training is fed with."""
