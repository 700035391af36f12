"""The recipe: its schema, its methods, reading it, and the messages of what is wrong with it. No torch, no ray."""
