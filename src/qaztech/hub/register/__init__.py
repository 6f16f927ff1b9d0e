"""The registry of digital objects: what bodies declare of their systems, with the history of every field."""
