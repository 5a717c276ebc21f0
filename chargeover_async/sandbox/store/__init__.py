"""Records, their indexes, and the file that they live in."""
