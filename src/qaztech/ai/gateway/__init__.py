"""A body's gateway: the OpenAI API in, calls over the body's own node out."""
