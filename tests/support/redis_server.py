"""A Redis (or Valkey) server of the test's own, on loopback, its data in its own folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support.ports import free_port

T = TypeVar("T", bound=Any)

BINARY = os.environ.get("CHARGEOVER_TEST_REDIS") or shutil.which("redis-server")
"""Another server to test with, a Valkey say, may be named in the environment."""

MISSING = (
    "no redis-server here: install Debian's package redis-server,"
    " or name one in CHARGEOVER_TEST_REDIS"
)


def needs_redis(test: T) -> T:
    """Marks a test that starts a server; it is skipped where there is none."""
    return pytest.mark.process(pytest.mark.skipif(BINARY is None, reason=MISSING)(test))


class RedisServer:
    """Start, stop, kill and freeze it; the port stays the same."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        assert BINARY is not None
        self.process = subprocess.Popen(  # noqa: S603 - the server under test
            [
                BINARY,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no", *self.options),
            ],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 300
        while time.monotonic() < end:
            assert self.process.poll() is None, "redis-server has ended"
            with contextlib.suppress(OSError):
                if self.command("PING").startswith(b"+PONG"):
                    return self
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def stop(self, *, keep: bool = False) -> None:
        """End it; its data is written first if it is to be kept, else it is gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            if keep:
                self.command("SAVE")
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.process = None
        if not keep:
            (self.folder / "dump.rdb").unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """One command, its raw answer."""
        text = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
        with socket.create_connection(("127.0.0.1", self.port), 60) as sock:
            sock.settimeout(60)
            sock.sendall(b"*%d\r\n%s" % (len(words), text))
            answer = sock.recv(1 << 16)
            if answer[:1] == b"$" and answer[:3] != b"$-1":
                head, _, rest = answer.partition(b"\r\n")
                while len(rest) < int(head[1:]) + 2:
                    rest += sock.recv(1 << 16)
                return rest[:-2]
            return answer

    def commands_processed(self) -> int:
        """Commands that clients have sent so far; what scripts call, and INFO, are not counted."""
        inside = {"hgetall", "hset", "hdel", "del", "time", "info"}
        total = 0
        for line in self.command("INFO", "commandstats").decode().splitlines():
            name, _, rest = line.partition(":calls=")
            if name.startswith("cmdstat_") and name[8:] not in inside:
                total += int(rest.split(",")[0])
        return total


__all__ = ("BINARY", "MISSING", "RedisServer", "needs_redis")
