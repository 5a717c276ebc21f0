"""Runs the fenced examples of README and docs as a reader would, each against a sandbox.

What an example needs beside the account is its page's *world* (tests/docs/worlds.py). How it is run
is seen from its language and its text; a comment in front of the fence says what cannot be seen:

    <!-- example: apart exit=0|3 world=journal -->

- ``apart``: each line of a shell block is a choice, and runs in a world of its own
- ``program``: a Python block that runs in a process of its own, as one with ``asyncio.run(`` does
- ``server``: each line starts a server; it must say that it listens, and end well when told to;
  with ``stays`` it goes on, as the account of what follows on the page
- ``needs=MODULE,MODULE``: where one of these is not installed the block is left out, visibly
- ``doubtful``: an operation of it may end as unknown
- ``exit=1``: how the commands end, where that is not 0; ``exit=0|3`` allows both
- ``world=NAME``: another world than the page's first (a whole program has that called ``program``,
  if there is one)
- ``file=NAME``: the block is that file, for what follows on the page
- ``output``: lines that the block before it must have printed; ``...`` stands for anything

``<!-- examples: in order -->`` anywhere on a page makes all of it one session: one folder, one
account, from top to bottom. Elsewhere each block begins anew.
"""

from __future__ import annotations

import ast
import asyncio
import configparser
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import sys
import textwrap
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml
from aiohttp import web
from support.ports import free_port
from support.redis_server import BINARY, RedisServer

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.migrate import ImportJob, read_plan
from chargeover_async.sandbox import Sandbox, make_app, new_store

_FENCE = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"<!-- example: (.+?) -->\s*\Z")
_IN_ORDER = "<!-- examples: in order -->"

SHOWN = frozenset({"mermaid", "text"})
"""Languages of blocks that only show something."""


World = Callable[["Session"], Awaitable[None]]


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    marks: frozenset[str]
    options: dict[str, str]
    by_ci: bool

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.page}:{self.line}"

    def world(self, worlds: dict[str, World]) -> World:
        """What its reader has."""
        usual = "program" if self.is_program and "program" in worlds else ""
        return worlds[self.options.get("world", usual)]

    @property
    def missing(self) -> str:
        """What it needs and is not installed."""
        needed = self.options.get("needs", "").split(",")
        return ", ".join(name for name in needed if name and find_spec(name) is None)

    @property
    def is_program(self) -> bool:
        """Whether it is a whole one, not what stands inside of one."""
        return "asyncio.run(" in self.code or "program" in self.marks


def in_order(text: str) -> bool:
    """Whether the page is one session."""
    return _IN_ORDER in text


def blocks(page: str, text: str) -> Iterator[Block]:
    """Every fenced block of a page, with what the comment in front of it says."""
    ci = re.search(r"^## Two commands\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    for fence in _FENCE.finditer(text):
        header = _HEADER.search(text, max(0, fence.start() - 200), fence.start())
        words = header[1].split() if header else []
        yield Block(
            page,
            text.count("\n", 0, fence.start()) + 1,
            fence[2],
            textwrap.dedent(fence[3]),
            frozenset(word for word in words if "=" not in word),
            dict(word.split("=", 1) for word in words if "=" in word),
            by_ci=ci is not None and ci.start() < fence.start() < ci.end(),
        )


class Session:
    """A folder, an account, and the commands that a reader has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.bin = folder / "bin"
        self.folder.mkdir(parents=True)
        self.bin.mkdir()
        self.sandbox = Sandbox(quota=None)
        self.replace: dict[str, str] = {}
        self.env = {
            "HOME": str(folder),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(folder),
        }
        self.before = ""  # what a program's reader has written in front of it
        self.printed = ""
        self._port = str(free_port())
        self._stack = contextlib.AsyncExitStack()
        for name, text in _COMMANDS.items():
            self._command(name, text)

    def _command(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text.replace("PYTHON", shlex.quote(sys.executable)), "utf-8")
        path.chmod(0o755)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.sandbox)
        self._account(self.sandbox.url, self.sandbox.username, self.sandbox.password)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _account(self, url: str, username: str, password: str) -> None:
        self.env.update(
            CHARGEOVER_URL=url, CHARGEOVER_USERNAME=username, CHARGEOVER_PASSWORD=password
        )

    def write(self, name: str, text: str) -> Path:
        """A file in the reader's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    def copy(self, source: Path) -> None:
        """A file or folder that the reader has, too."""
        target = self.folder / source.name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)

    def client(self, **options: Any) -> ChargeOver:
        """A client of the account, without a quota."""
        return ChargeOver(*self._triple(), limiter=NoLimit(), **options)

    def _triple(self) -> tuple[str, str, str]:
        url, username, password = (
            self.env[f"CHARGEOVER_{name}"] for name in ("URL", "USERNAME", "PASSWORD")
        )
        return url, username, password

    async def redis(self) -> bool:
        """A Redis server where pages say quota-host; False if there is none on this machine."""
        if BINARY is None:
            return False
        folder = self.folder.parent / "redis"
        folder.mkdir()
        server = RedisServer(folder)
        await asyncio.to_thread(server.start)
        self._stack.callback(server.stop)
        self.replace["redis://quota-host:6379/0"] = server.url
        return True

    async def serve_tls(self, certificate: Path) -> None:
        """Make an account behind TLS the reader's account."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        runner = web.AppRunner(make_app(new_store()))
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        self._account(f"https://localhost:{port}/api/v3", "sandbox", "sandbox")

    def _text(self, code: str) -> str:
        for shown, real in {"8080": self._port, **self.replace}.items():
            code = code.replace(shown, real)
        return code

    async def run(self, block: Block, expected: str | None = None) -> None:
        """Run one block, in the way that its language and its text ask for."""
        code = self._text(block.code)
        if name := block.options.get("file"):
            self.write(name, code)
        elif block.language == "python":
            await self._python(block, code)
        elif block.language == "bash" and "server" in block.marks:
            for command in _commands(code):
                await self._serve(command, block)
        elif block.language == "bash":
            wanted = {int(status) for status in block.options.get("exit", "0").split("|")}
            await self.shell(code, wanted)
        elif "output" in block.marks:
            shown = re.escape(code.strip()).replace(re.escape("..."), "(?s:.*)")
            found = re.search(f"^{shown}$", self.printed, re.MULTILINE)
            assert found, f"it printed:\n{self.printed}"
        else:
            assert block.language in {*READ, *SHOWN}, "nobody knows how to try this language"
            found = READ.get(block.language, str)(code)
            if block.language == "toml" and "load" in found:
                await self._import(code)

    async def _import(self, plan: str) -> None:
        path = self.write("example.toml", plan)
        job = ImportJob(read_plan(path), failures=self.folder / "failures.jsonl")
        rows = job.check().operations
        async with self.client() as co:
            summary = await job.run(co)
        assert summary.created == rows > 0, summary

    async def _python(self, block: Block, code: str) -> None:
        if re.search(r"^(async )?def test_", code, re.MULTILINE):
            self.write("test_example.py", code)
            await self.shell("pytest -q test_example.py")
        elif block.is_program:
            self.write("example.py", self.before + code)
            ours = "" if "needs" in block.options else "-W error "  # others may warn
            await self.shell(f"python {ours}example.py")
        else:
            await self._inside(block, code)

    async def _inside(self, block: Block, code: str) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        program = compile(code, block.place, "exec", flags=flags, dont_inherit=True)
        printed = io.StringIO()
        url, username, password = self._triple()
        async with self.client() as co:
            scope: dict[str, Any] = {
                "__name__": "example",
                "ChargeOver": ChargeOver,
                "co": co,
                "url": url,
                "username": username,
                "password": password,
            }
            with self._here(), contextlib.redirect_stdout(printed):
                found = eval(program, scope)  # noqa: S307 - our own text
                if found is not None:
                    await found
            assert co.stats.unknown == 0 or "doubtful" in block.marks
        self.printed = printed.getvalue()

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """In the reader's folder, with the modules that lie there."""
        before = set(sys.modules)
        sys.path.insert(0, str(self.folder))
        try:
            with contextlib.chdir(self.folder):
                yield
        finally:
            sys.path.remove(str(self.folder))
            for name in set(sys.modules) - before:
                if str(self.folder) in (getattr(sys.modules[name], "__file__", None) or ""):
                    del sys.modules[name]

    async def shell(self, code: str, wanted: set[int] | None = None) -> None:
        """A script, as a reader types it; it stops at the first command that fails."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", code),
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        self.printed = out.decode() + err.decode()
        assert process.returncode in (wanted or {0}), (
            f"{code}\nexits with {process.returncode}:\n{self.printed}"
        )
        assert "Traceback" not in self.printed, self.printed

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "CHARGEOVER" not in name}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {**kept, **self.env, "PATH": path}

    async def _serve(self, command: str, block: Block) -> None:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f"exec {command}"),
            cwd=self.folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert "http://127.0.0.1:" in line, f"{command} says {line!r}"
        self.printed = line

        async def end() -> None:
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0, f"{command} ends with {process.returncode}"

        if "stays" in block.marks:
            self._stack.push_async_callback(end)
            self._account(*line.split())
        else:
            await end()


def _commands(code: str) -> list[str]:
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@contextlib.asynccontextmanager
async def session(folder: Path, world: World) -> AsyncIterator[Session]:
    """A new session in the given world."""
    async with Session(folder) as found:
        await world(found)
        yield found


async def run_page(page: str, text: str, worlds: dict[str, World], folder: Path) -> list[str]:
    """Run every block of a page; the error names the line of the one that fails.

    Returns what was left out, as something that it needs is not installed.
    """
    every = [block for block in blocks(page, text) if not block.by_ci]
    todo = [block for block in every if not block.missing]
    if in_order(text):
        async with session(folder / "page", worlds[""]) as found:
            for block in todo:
                await _told(found, block)
    else:
        for number, (block, *output) in enumerate(_apart(todo)):
            async with session(folder / str(number), block.world(worlds)) as found:
                for part in (block, *output):
                    await _told(found, part)
    return [f"{block.place} needs {block.missing}" for block in every if block.missing]


def _apart(todo: list[Block]) -> Iterator[list[Block]]:
    """The blocks that share a world: one, and what it prints."""
    for index, block in enumerate(todo):
        if "apart" in block.marks:
            yield from ([block._replace(code=line)] for line in _commands(block.code))
        elif "output" not in block.marks:
            behind = todo[index + 1 : index + 2]
            yield [block, *(part for part in behind if "output" in part.marks)]


async def _told(found: Session, block: Block) -> None:
    try:
        await found.run(block)
    except BaseException as error:
        error.add_note(f"the example at {block.place}:\n{block.code}")
        raise


def _ini(code: str) -> None:
    configparser.ConfigParser(strict=False, interpolation=None).read_string(code)


def _json_lines(code: str) -> None:
    for line in code.splitlines():
        json.loads(line)


READ: dict[str, Callable[[str], Any]] = {
    "ini": _ini,
    "json": json.loads,
    "jsonl": _json_lines,
    "toml": tomllib.loads,
    "yaml": lambda code: list(yaml.safe_load_all(code)),
    "csv": str.splitlines,
}

_PIP = """
import re, sys
from importlib.metadata import metadata

assert sys.argv[1] == "install", sys.argv
for word in sys.argv[2:]:
    name, extras = re.fullmatch(r"([\\w.-]+)(?:\\[([\\w,-]+)\\])?", word).groups()
    there = metadata("chargeover-async").get_all("Provides-Extra") if extras else ()
    assert set((extras or "").split(",")) - {""} <= set(there), f"no such extra: {word}"
"""
_COMMANDS = {
    "chargeover-async": '#!/bin/sh\nexec PYTHON -m chargeover_async "$@"\n',
    "python": '#!/bin/sh\nexec PYTHON "$@"\n',
    "pytest": "#!/bin/sh\nexec PYTHON -m pytest -W error --strict-markers -p no:cacheprovider "
    '-o asyncio_default_fixture_loop_scope=function "$@"\n',
    "pip": f"#!/bin/sh\nexec PYTHON -c '{_PIP}' \"$@\"\n",  # only checks names
}

__all__ = ("Block", "Session", "World", "blocks", "in_order", "run_page", "session")
