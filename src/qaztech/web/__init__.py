"""Pages for people. No rules live here."""
