"""Every fenced example of README and docs runs, as it stands, against a sandbox.

A page needs a world: what its reader has in the folder and in the account. How blocks are run, and
what a comment in front of one may say, is told in tests/support/examples.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.examples import READ, Session, World, blocks, run_page
from support.places import DOCS, EXAMPLES, ROOT, TESTS
from support.redis_server import MISSING

from chargeover_async.cli import cli

PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *DOCS.rglob("*.md"))
    if "reference" not in path.relative_to(ROOT).parts
}


async def nothing(_session: Session) -> None:
    """An empty folder and an empty account."""


async def acme(session: Session) -> None:
    """Acme, who has been sent a bill for tea."""
    async with session.client() as co:
        await co.items.create(name="Tea", external_key="tea")
        customer = await co.customers.create(company="Acme", external_key="acme-1")
        await co.invoices.create(
            customer_id=customer.id, line_items=[{"item_external_key": "tea", "line_rate": "20"}]
        )


SHOWN_PLAN = re.search(r"^```toml\n(.*?)^```$", PAGES["docs/import.md"].read_text("utf-8"), 24)
assert SHOWN_PLAN is not None
ITEMS = """
[[load]]
object = "item"
file = "items.csv"
[load.fields]
external_key = "shop-item-{Sku}"
name = "{Name}"

"""


async def shop(session: Session) -> None:
    """The files of the plan in docs/import.md; items are in the account and in a file."""
    assert SHOWN_PLAN is not None
    session.write("plan.toml", ITEMS + SHOWN_PLAN[1])
    session.write("items.csv", "Sku,Name\ntea,Tea\n")
    customers = "".join(f"A{n},Firm {n},,,a{n}@example.com,Bath,,\n" for n in range(1, 21))
    header = "Account,Firm,First,Last,Email,City,Tag1,Tag2\n"
    session.write("customers.csv", header + customers)
    session.write("invoices.csv", "Number,Account,Date\n7,A1,2026-01-31\n8,A2,2026-02-28\n")
    session.write("lines.csv", "Invoice,Sku,Rate,Quantity\n7,tea,2.95,2\n8,tea,2.95,1\n")


async def tea(session: Session) -> None:
    """The same, with the item in the account."""
    await shop(session)
    async with session.client() as co:
        await co.items.create(name="Tea", external_key="shop-item-tea")


async def unknown_rows(session: Session) -> None:
    """An import of customers without keys lost an answer."""
    await shop(session)
    plan = '[[load]]\nobject = "customer"\nfile = "customers.csv"\nfields.company = "{Firm}"\n'
    session.write("plan.toml", plan)
    session.sandbox.faults.aim("POST /_bulk", "lost")
    await session.shell("chargeover-async import plan.toml --journal import.journal", {3})


async def refused_row(session: Session) -> None:
    """A customer was refused, as its key was taken; it is free now."""
    await shop(session)
    async with session.client() as co:
        taken = await co.customers.create(company="Other", external_key="shop-A3")
        await session.shell("chargeover-async import plan.toml", {1})
        await co.customers.update(taken.id, external_key="other-3")


async def tea_only(session: Session) -> None:
    """An item to sell."""
    async with session.client() as co:
        await co.items.create(name="Tea", external_key="tea")


async def tiers(session: Session) -> None:
    """Customers of an old system, with a field of their own."""
    session.write("customers.csv", "Number,Name,Tier\n1,Cedar,gold\n")


async def srv(session: Session) -> None:
    """A folder for the jobs."""
    session.write("acme/notes.txt", "")
    session.replace["/srv/acme"] = str(session.folder / "acme")


async def redis(session: Session) -> None:
    """A Redis server, and a folder for a quota that is a file."""
    if not await session.redis():
        pytest.skip(MISSING)
    session.write("acme/notes.txt", "")
    session.replace["/var/lib/acme"] = str(session.folder / "acme")


async def signup(session: Session) -> None:
    """The service of examples/service."""
    session.copy(EXAMPLES / "service" / "signup.py")


async def seeds(session: Session) -> None:
    """Records to begin with."""
    session.write("seeds/customer.jsonl", '{"company": "Acme"}\n')


async def slow(session: Session) -> None:
    """The next customer takes its time."""
    session.sandbox.faults.aim("POST /customer", "delay_after=30")


async def lossy(session: Session) -> None:
    """The answer to the next new customer is lost."""
    session.sandbox.faults.aim("POST /customer", "lost")


async def imported(session: Session) -> None:
    """The shop is in the account."""
    await shop(session)
    await session.shell("chargeover-async import plan.toml")


async def tls(session: Session) -> None:
    """An account whose certificate is signed by the company itself."""
    certificate = TESTS / "support" / "self_signed.pem"
    (session.folder / "company-ca.pem").write_text(certificate.read_text("ascii"), "ascii")
    await session.serve_tls(certificate)


async def cluster(session: Session) -> None:
    """What the tasks of an engine have returned, and an account to read."""
    await acme(session)
    session.before = """
from chargeover_async.cluster import Connect, write_part

rows = [{"company": "Birch", "external_key": "birch-1"}]
reports = [write_part(rows, "customer", Connect.from_env(), attempt=0)]
"""
    account = f'url = "{session.sandbox.url}"\nusername = "sandbox"\npassword = "sandbox"\n'
    session.write("accounts.toml", f"[acme]\n{account}")


async def spark(session: Session) -> None:
    """A session of Spark, on Sail, and customers in a table."""
    await acme(session)
    session.before = """
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer(ip="127.0.0.1", port=0)
server.start(background=True)
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
customers = spark.createDataFrame([(7, "Cedar"), (8, "Birch")], "id int, company string")
"""


WORLDS: dict[str, dict[str, World]] = {
    "README.md": {"": acme, "program": nothing},
    "docs/api.md": {"": nothing},
    "docs/engines.md": {"": cluster, "program": cluster, "spark": spark},
    "docs/errors.md": {"": nothing, "files": imported},
    "docs/explanation/journal.md": {"": nothing},
    "docs/explanation/operation.md": {"": tea_only},
    "docs/explanation/quota.md": {"": nothing},
    "docs/explanation/repeating.md": {"": nothing},
    "docs/export.md": {"": acme, "cluster": cluster},
    "docs/guides/custom-fields.md": {"": tiers},
    "docs/guides/deadlines.md": {"": nothing, "slow": slow},
    "docs/guides/network.md": {"": nothing, "tls": tls},
    "docs/guides/production.md": {
        "": nothing,
        "shop": shop,
        "imported": imported,
    },
    "docs/guides/running.md": {"": srv},
    "docs/guides/unknown-outcomes.md": {"": nothing, "lossy": lossy, "unknown": unknown_rows},
    "docs/guides/webhooks.md": {"": nothing},
    "docs/index.md": {"": nothing},
    "docs/import.md": {
        "": shop,
        "tea": tea,
        "unknown": unknown_rows,
        "refused": refused_row,
        "imported": imported,
    },
    "docs/quota.md": {"": redis},
    "docs/sandbox.md": {"": seeds},
    "docs/testing.md": {"": signup},
    "docs/tutorial.md": {"": nothing},
}


def test_every_page_has_a_world() -> None:
    """A new page needs an entry, and an entry a page."""
    assert set(WORLDS) == set(PAGES)


@pytest.mark.process
@pytest.mark.parametrize("page", WORLDS)
async def test_every_example_of_the_page_runs(page: str, tmp_path: Path) -> None:
    """And prints what the page says it prints."""
    left_out = await run_page(page, PAGES[page].read_text("utf-8"), WORLDS[page], tmp_path)
    if left_out:
        pytest.skip(f"all ran but {'; '.join(left_out)}")


def test_the_two_commands_of_the_readme_are_run_by_ci() -> None:
    """They install the package, which no test may do; so they are no examples for this file."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "readme_block.py 1" in script
    assert "readme_block.py 2" in script


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```python\nassert await co.customers.count() == 1\n```", "page.md:1"),
        ("text\n\n```bash\nfalse | cat\n```", "page.md:3"),
        ("```bash\nchargeover-async import nothing.toml\n```", "exits with 4"),
        ("<!-- example: exit=4 -->\n```bash\ntrue\n```", "exits with 0"),
        ("```toml\n[[load]\n```", "Expected"),
        ("```toml\n[[load]]\nobject = 'user'\nfile = 'a.csv'\nfields.username = 'a'\n```", "a.csv"),
        ("```bash\npip install 'chargeover-async[everything]'\n```", "no such extra: chargeover"),
        ("```\nwhat language is this?\n```", "nobody knows"),
        ("```bash\necho a b\n```\n<!-- example: output -->\n```text\na c\n```", "it printed"),
        ("```python\ndef test_a():\n    assert not 1\n```", "1 failed"),
    ],
)
async def test_an_example_that_is_wrong_is_told(page: str, told: str, tmp_path: Path) -> None:
    """Else all of this would be worth nothing."""
    page = f"{page}\n<!-- examples: in order -->\n"
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        await run_page("page.md", page, {"": nothing}, tmp_path)
    notes = " ".join(caught.value.__notes__)
    assert told in f"{caught.value} {notes}"


def _commands_in(value: object) -> Iterator[list[str]]:
    """The command lines in a unit file or a manifest, however deep."""
    if isinstance(value, str):
        yield from (shlex.split(line.partition("ExecStart=")[2]) for line in value.splitlines())
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _commands_in(inner)
    elif isinstance(value, list):
        if value[:1] == ["chargeover-async"]:
            yield value
        for inner in value:
            if not isinstance(inner, str):
                yield from _commands_in(inner)


def test_commands_of_units_and_manifests_can_be_given() -> None:
    """Nobody starts systemd or a cluster here; but the command line takes what they would run."""
    page = "docs/guides/running.md"
    found: list[list[str]] = []
    for block in blocks(page, PAGES[page].read_text("utf-8")):
        if block.language == "ini":
            found += _commands_in(block.code)
        elif block.language == "yaml":
            found += _commands_in(READ["yaml"](block.code))
    named = [words for words in found if words and words[0].endswith("chargeover-async")]
    assert len(named) == 4
    for _, name, *words in named:
        assert cli.commands[name].make_context(name, words, parent=click.Context(cli))
