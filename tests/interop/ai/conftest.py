"""What tests of AI begin with."""

from ai_fixtures import budget, clock, engine, key, url

__all__ = ["budget", "clock", "engine", "key", "url"]
