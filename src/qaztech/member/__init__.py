"""The member: what its own people prepare, decide and sign."""
