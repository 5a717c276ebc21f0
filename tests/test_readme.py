"""The README's first program; that all examples run is held by tests/docs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from support.places import ROOT

from chargeover_async.sandbox import Sandbox

README = ROOT / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)


async def test_the_shortest_program_prints_the_total(tmp_path: Path) -> None:
    """The first example is a whole program that needs three environment variables only."""
    program = BLOCKS[0]
    assert "asyncio.run(main())" in program
    async with Sandbox() as sandbox:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-c",
            program,
            cwd=tmp_path,
            env={
                **os.environ,
                "CHARGEOVER_URL": sandbox.url,
                "CHARGEOVER_USERNAME": sandbox.username,
                "CHARGEOVER_PASSWORD": sandbox.password,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, out.decode().strip(), err.decode()) == (0, "5.9", "")
