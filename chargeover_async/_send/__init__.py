"""The way of one operation: what carries it, and what becomes of it."""
