"""The recipe: schema, methods, topologies, file reader and error messages. Imports neither torch nor ray."""
