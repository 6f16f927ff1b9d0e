"""A whole country in one call, for members' own tests, and the crash simulator for the log's."""
