"""What an account is set up with, and who and what is in it."""
