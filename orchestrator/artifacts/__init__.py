"""The store of what stages made, by content. No torch, no ray."""
