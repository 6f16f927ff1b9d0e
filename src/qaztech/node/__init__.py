"""A node: one exchange in ten steps, the link to its peers and the edges to its own systems."""
