"""The changes of the tables of `hub`, in their order."""
