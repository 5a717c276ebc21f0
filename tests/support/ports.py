"""Ports for servers that a test starts later, or again."""

from __future__ import annotations

import random
import socket

_ASIDE = range(15_000, 22_000)
"""Below the ports that systems give to outgoing connections, and 10,000 above it, where a node of a
cluster listens, too. One of those would be taken by anybody in the meantime; and who keeps
connecting to one at which nobody listens is connected to itself in the end, and then the server
cannot come back."""


def free_port() -> int:
    """A port of loopback that nobody has now, and that nobody is given by chance."""
    while True:
        port = random.choice(_ASIDE)
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


__all__ = ("free_port",)
