"""The pytest plugin from a user's viewpoint: test files in a directory of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from support.places import ROOT

pytestmark = pytest.mark.process

pytest_plugins = ["pytester"]

DOCS = (ROOT / "docs" / "testing.md").read_text("utf-8")
SERVICE = ROOT / "examples" / "service"
# pytest-asyncio asks to be told the scope; function is what it will take by default.
CAREFUL = ("-W", "error", "--strict-markers", "-o", "asyncio_default_fixture_loop_scope=function")

USES = """
import pytest
from chargeover_async import ChargeOver
from chargeover_async.sandbox import Quota

pytestmark = [{marks}pytest.mark.chargeover_sandbox(quota=Quota(3, 60), username="module")]

async def test_client(chargeover_sandbox, chargeover_client):
    await chargeover_client.customers.create(company="Acme")
    assert chargeover_sandbox.assert_created_once("customer", company="Acme")
    assert (chargeover_sandbox.quota.limit, chargeover_sandbox.username) == (3, "module")

@pytest.mark.chargeover_sandbox(username="nearest")
async def test_new_for_each_test(chargeover_sandbox, chargeover_client, chargeover_clock):
    for _ in range(7):
        assert await chargeover_client.customers.count() == 0
    chargeover_sandbox.assert_within_quota()
    assert chargeover_clock.elapsed >= 120
    assert (chargeover_sandbox.quota.limit, chargeover_sandbox.username) == (3, "nearest")

async def test_environment(chargeover_env, chargeover_sandbox):
    async with ChargeOver.from_env() as co:
        assert await co.customers.count() == 0
    assert len(chargeover_sandbox.calls) == 1
"""

IGNORES = """
import sys

def test_nothing_of_it_is_imported():
    assert not {"chargeover_async", "aiohttp", "msgspec"} & set(sys.modules)
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_fixtures_work_in_both_modes(pytester: pytest.Pytester, mode: str):
    """With warnings as errors and strict markers."""
    marks = "pytest.mark.asyncio, " if mode == "strict" else ""
    pytester.makepyfile(USES.replace("{marks}", marks))
    result = pytester.runpytest_subprocess(*CAREFUL, "-o", f"asyncio_mode={mode}")
    result.assert_outcomes(passed=3)


def test_who_does_not_use_it_is_not_disturbed(pytester: pytest.Pytester):
    """The package is not even imported."""
    pytester.makepyfile(IGNORES)
    pytester.runpytest_subprocess(*CAREFUL).assert_outcomes(passed=1)


def test_a_program_may_import_the_package_before_it_starts_pytest(pytester: pytest.Pytester):
    """Without a warning that pytest came too late to rewrite its assertions."""
    pytester.makepyfile("def test_a(): pass")
    program = f"import chargeover_async, pytest, sys; sys.exit(pytest.main({list(CAREFUL)!r}))"
    pytester.run(sys.executable, "-c", program).assert_outcomes(passed=1)


def test_without_pytest_asyncio_the_fixture_says_what_to_install(pytester: pytest.Pytester):
    """And everything else runs."""
    pytester.makepyfile(test_it="def test_a(chargeover_sandbox): pass\ndef test_b(): pass")
    result = pytester.run(
        sys.executable,
        "-c",
        "import sys, importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'pytest_asyncio' else found(name, *a)\n"
        "import pytest; sys.exit(pytest.main(['-p', 'no:asyncio', '-p', 'no:looptime_plugin']))",
    )
    result.assert_outcomes(passed=1, errors=1)
    assert 'pip install "chargeover-async[testing]"' in result.stdout.str()


def test_the_kit_needs_no_pytest():
    """`TestSandbox` can be used with any test runner."""
    program = (
        "import sys; sys.modules.update(pytest=None, pytest_asyncio=None, looptime=None)\n"
        "import asyncio\n"
        "from chargeover_async.testing import TestSandbox\n"
        "async def main():\n"
        "    async with TestSandbox() as sandbox, sandbox.client() as co:\n"
        "        await co.customers.create(company='Acme')\n"
        "        sandbox.assert_created_once('customer', company='Acme')\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    subprocess.run(command, check=True, timeout=600)  # noqa: S603 - our own text


def test_the_example_passes(pytester: pytest.Pytester):
    """As it stands, in strict mode; the documentation shows its own tests."""
    shown = re.search(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    assert shown is not None
    example = (SERVICE / "test_signup.py").read_text("utf-8")
    for test in re.findall(r"^async def .*?(?=\n\n\n|\Z)", shown[1], re.MULTILINE | re.DOTALL):
        assert test.strip() in example
    for name in ("signup.py", "test_signup.py"):
        shutil.copy(SERVICE / name, pytester.path / name)
    result = pytester.runpytest_subprocess(*CAREFUL)
    result.assert_outcomes(passed=4)
