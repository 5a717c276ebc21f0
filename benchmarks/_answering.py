"""A server that answers creates, alone or in ``_bulk``, and does no work: the least in the way.

    python -m benchmarks._answering

Prints its URL. Every create gets the next id; nothing is stored and nothing is checked, so that
what is measured against it is the client. HTTP is read by hand for that reason.
"""

from __future__ import annotations

import asyncio
from itertools import count

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
ENTRY = b'{"code":201,"status":"OK","message":"","response":{"id":%d}}'
NOTHING = b'{"code":200,"status":"OK","message":"","response":0}'
MARK = b'"request_method"'

_ids = count(1)


def answer(head: bytes, body: bytes) -> bytes:
    """The whole HTTP answer to one request; a GET is told that there is nothing."""
    if head.startswith(b"GET "):
        text, status = NOTHING, b"200 OK"
    elif head.split(b" ", 2)[1].endswith(b"/_bulk"):
        entries = b",".join([ENTRY % next(_ids) for _ in range(body.count(MARK))])
        text = b'{"code":200,"status":"OK","message":"","response":{"_bulk":[' + entries + b"]}}"
        status = b"200 OK"
    else:
        text = ENTRY % next(_ids)
        status = b"201 Created"
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (status, len(text))
    ) + text


class Answering(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(HEAD_END)) >= 0:
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(LENGTH)
            length = int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + len(HEAD_END) + length
            if len(self._buffer) < whole:
                return
            body = self._buffer[end + len(HEAD_END) : whole]
            self._buffer = self._buffer[whole:]
            self._transport.write(answer(head, body))


async def main() -> None:
    """Serve on a free port until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/api/v3", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
