"""The changes of the tables of `joining`, in their order."""
