"""What the tests of imports share: plans, a folder to fill, an account to import into."""

from __future__ import annotations

from pathlib import Path

from chargeover_async import ChargeOver
from chargeover_async.migrate import ImportJob, Plan, Summary, read_plan
from chargeover_async.migrate.check.check import Checked, check
from chargeover_async.sandbox import Sandbox

CUSTOMERS = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
"""

INVOICES = """
[[load]]
object = "invoice"
file = "invoices.csv"
[load.fields]
external_key = "i-{Id}"
customer_external_key = "c-{Customer}"
date = "{Date}"
[load.children.line_items]
file = "lines.csv"
match = { Invoice = "Id" }
[load.children.line_items.fields]
item_id = 1
line_rate = "{Rate}"
"""


class Folder:
    """Writes files and reads plans in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.path / name
        path.write_text(text, encoding=encoding, newline="")
        return path

    def plan(self, text: str, **files: str) -> Plan:
        """``customers_csv="..."`` writes customers.csv."""
        for name, content in files.items():
            stem, _, ending = name.rpartition("_")
            self.write(f"{stem}.{ending}", content)
        return read_plan(self.write("plan.toml", text))

    def check(self, text: str, **files: str) -> Checked:
        return check(self.plan(text, **files))


class Account:
    """A sandbox with a client, and imports into it."""

    def __init__(self, sandbox: Sandbox, co: ChargeOver, path: Path) -> None:
        self.sandbox = sandbox
        self.co = co
        self.failures = path / "failures.jsonl"
        self.journal = path / "import.journal"

    async def load(self, plan: Plan, **options: object) -> Summary:
        options.setdefault("failures", self.failures)
        return await ImportJob(plan, **options).run(self.co)  # type: ignore[arg-type] # any option

    def records(self, name: str) -> dict[str, dict[str, object]]:
        return {record["external_key"]: record for record in self.sandbox.store.records(name)}
