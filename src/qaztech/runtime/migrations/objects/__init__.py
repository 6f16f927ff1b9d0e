"""The changes of the tables of `objects`, in their order."""
