"""What is said over the wire, and in what words: pure, knows no record."""
