"""Personal data in text: found, masked, restored."""
