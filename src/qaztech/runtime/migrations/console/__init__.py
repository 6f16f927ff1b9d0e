"""The changes of the tables of `console`, in their order."""
