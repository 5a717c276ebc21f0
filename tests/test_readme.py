"""The README's Python examples run, as they stand, against a sandbox."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
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


@pytest.mark.parametrize("index", range(1, len(BLOCKS)))
async def test_each_other_example_runs_with_a_client_called_co(
    index: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every further example works inside ``async with ... as co`` as it stands."""
    async with (
        Sandbox(quota=None) as sandbox,
        ChargeOver(sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()) as co,
    ):
        await co.items.create(name="Tea", external_key="tea")
        acme = await co.customers.create(company="Acme", external_key="acme-1")
        await co.invoices.create(
            customer_id=acme.id, line_items=[{"item_external_key": "tea", "line_rate": "20"}]
        )
        scope: dict[str, Any] = {}
        source = "async def example(co):\n" + textwrap.indent(BLOCKS[index], "    ")
        exec(compile(source, f"README block {index}", "exec"), scope)  # noqa: S102 - our own text
        await scope["example"](co)
        assert co.stats.unknown == 0
        assert "refused" not in capsys.readouterr().out.replace("refused=0", "")
