"""How JSON becomes records, and what may be written: the machinery under the objects."""
