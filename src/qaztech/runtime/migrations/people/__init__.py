"""The changes of the tables of `people`, in their order."""
