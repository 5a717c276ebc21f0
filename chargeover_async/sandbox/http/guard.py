"""Who may reach the control plane and the page: this machine, and of its browsers our own page.

The control plane has no password, so it answers loopback addresses only. A browser on this machine
is one, whatever page it shows; so the Host must be a name of this machine too (a page that points
its own domain at 127.0.0.1, "DNS rebinding", has another) and a request that comes from a page must
come from ours (``Origin``, ``Sec-Fetch-Site``).
"""

from __future__ import annotations

import ipaddress

from aiohttp import web


def refusal(request: web.Request, *, navigating: bool) -> str | None:
    """Why this request may not reach the control plane; None if it may.

    ``navigating``: what is asked for is the page itself, to which any page may link.
    """
    if not is_loopback(request.remote or ""):
        return "the control plane is for this machine only"
    host = request.headers.get("Host", "")
    if not is_loopback(_name(host)):
        return f"the control plane is at 127.0.0.1, ::1 or localhost, not at {host!r}"
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
        return f"the control plane takes no requests from pages of {origin!r}"
    site = request.headers.get("Sec-Fetch-Site", "none")
    is_link = navigating and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("same-origin", "none") and not is_link:
        return "the control plane takes no requests from other pages"
    return None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
