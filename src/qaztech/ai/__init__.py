"""AI in public services: the register of AI systems, personal data in text, and the gateway of a body."""
