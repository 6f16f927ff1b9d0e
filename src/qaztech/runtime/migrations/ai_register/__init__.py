"""The changes of the tables of `ai_register`, in their order."""
