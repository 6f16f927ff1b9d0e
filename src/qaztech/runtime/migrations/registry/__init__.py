"""The changes of the tables of `registry`, in their order."""
