"""What can be done with any record, whatever its object."""
