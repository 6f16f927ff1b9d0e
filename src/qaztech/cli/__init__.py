"""The `qaztech` command."""
