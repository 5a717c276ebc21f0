"""What goes over the wire, as pure functions: no I/O, no clock."""
