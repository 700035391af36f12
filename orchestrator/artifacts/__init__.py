"""The content-addressed store, and the formats of the artifacts in it. Imports neither torch nor ray."""
