"""How calls are built and answers are read: the machinery under the objects."""
