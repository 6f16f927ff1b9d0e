"""The changes of the tables of `ai_gateway`, in their order."""
