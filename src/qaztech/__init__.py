"""QazTech: organisations call each other, and every call can be proven offline, years later."""
