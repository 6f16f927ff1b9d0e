"""Builds every object of every process, one module a process; the only place that does."""
