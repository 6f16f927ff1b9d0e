"""The national register of AI systems: cards, their life, the law they stand under, and who asks about them."""
