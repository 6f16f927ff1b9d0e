"""The changes of the tables of `findings`, in their order."""
