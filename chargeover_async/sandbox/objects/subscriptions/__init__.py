"""Subscriptions, their lines, and what is billed for them."""
