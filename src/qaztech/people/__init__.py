"""Who signs in, as what, and what they did: accounts, sessions, tokens, the gate, the admin log."""
