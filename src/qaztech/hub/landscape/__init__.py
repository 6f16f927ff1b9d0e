"""The living architecture: systems and the flows between them, as declared and as observed."""
