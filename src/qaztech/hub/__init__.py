"""The centre of a country: what it knows of the traffic, from what nodes deliver as exchanges. Not the registry."""
