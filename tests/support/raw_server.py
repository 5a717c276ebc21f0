"""An HTTP server of a few lines that counts what it reads, and drops connections when told."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

OK = b'{"code":200,"status":"OK","message":"","response":true}'


def http(status: int = 200, body: bytes = OK, *headers: str) -> bytes:
    """An answer as it goes over the wire."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


class RawServer:
    """Plays ``script``: for each request the bytes to answer, b"" to close, None never to answer.

    When the script is at its end every request gets ``OK``. ``requests`` are the heads and bodies
    read. A step may be a tuple: what to answer, and then the connection is closed.
    """

    def __init__(
        self, *script: bytes | tuple[bytes, str] | None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self.script = list(script)
        self.requests: list[tuple[bytes, bytes]] = []
        self.arrived = asyncio.Condition()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def lines(self) -> list[str]:
        """The request lines."""
        return [head.split(b"\r\n")[0].decode() for head, _ in self.requests]

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v3"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_for(self, number: int) -> None:
        """Until so many requests were read."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= number)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = await reader.readexactly(length)
            async with self.arrived:
                self.requests.append((head, body))
                self.arrived.notify_all()
            step = self.script.pop(0) if self.script else http()
            if step is None:
                await asyncio.Event().wait()
                continue
            answer, then = step if isinstance(step, tuple) else (step, "")
            if answer:
                writer.write(answer)
                await writer.drain()
            if not answer or then == "close":
                return
