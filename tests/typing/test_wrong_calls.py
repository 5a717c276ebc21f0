"""Wrong calls are refused by mypy and by pyright, each on its own line, and right ones are not."""

# ruff: noqa: S603 - the interpreter that runs this, on a text of ours
from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import chargeover_async

pytestmark = pytest.mark.process

PARENT = Path(chargeover_async.__file__).resolve().parents[1]

HEAD = """\
from __future__ import annotations
import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from chargeover_async import (
    ChargeOver, Created, Customer, ExternalKey, F, Invoice, Item, Operation, QuotaSettings,
    RetryPolicy, Subscription, Token, Usage,
)
from chargeover_async.models import LineItemCreate
from chargeover_async.webhooks import Event, Webhooks
async def calls(
    co: ChargeOver, made: Operation[Created], lines: list[LineItemCreate], event: Event,
) -> None:
"""
WRONG = [
    # misspelt, unknown, or of another call
    'await co.customers.create(compny="x")',
    'await co.customers.update(1, superuser_mail="x")',
    "await co.customers.update(1, currency_id=1)",
    'await co.items.create(external_id="x")',
    'await co.users.create(company="x")',
    "await co.customers.get(1, limit=5)",
    "await co.customers.list(limt=5)",
    'await co.customers.crete(company="x")',
    "await co.customer.get(1)",
    'await co.items.update(1, name="x")',
    # of a wrong type
    "await co.customers.create(company=5)",
    'await co.customers.create(no_taxes="yes")',
    'await co.customers.create(terms_id="3")',
    "await co.customers.create(tags=[5])",
    "await co.customers.create(external_key=5)",
    'await co.customers.update("a-1", company="x")',
    "await co.customers.get(1.5)",
    "await co.customers.get(external_key=5)",
    'await co.customers.list(limit="5")',
    'await co.customers.list(where="total:GT:1")',
    "await co.customers.list(order=5)",
    "await co.invoices.create(customer_id=1, line_items=[{'line_rate': 2.95}])",
    "await co.invoices.create(customer_id=1, line_items=[{'item_idd': 1}])",
    "await co.invoices.create(customer_id=1, line_items=5)",
    "await co.invoices.create(customer_id=1, line_items=lines, date=20260131)",
    "await co.invoices.pay_credit_card(1, number=4111111111111111)",
    "await co.invoices.schedule_payments(1, [{'amount': 1.5, 'date': '2026-01-31'}])",
    "await co.items.create(pricemodel={'base': 1.5})",
    "await co.users.set_password(1, None)",
    "await co.customers.create(parent_customer_id=made)",
    'await co.request("GET", 5)',
    "F.total > [1]",
    "F.company.contains(5)",
    # of a wrong result
    "a1: int = await co.customers.get(1)",
    "a2: Invoice = await co.customers.get(1)",
    "a3: list[Customer] = await co.customers.list()",
    "a4: str = await co.customers.count()",
    'a5: Customer = await co.customers.create(company="x")',
    "a6: str = (await co.customers.get(1)).company",
    "a7: float | None = (await co.customers.get(1)).total",
    "(await co.customers.get(1)).compny",
    '(await co.customers.get(1)).company = "x"',
    # without await
    "b1: int = co.customers.count()",
    "co.customers.get(1).company",
    "for customer in co.customers.iterate(): print(customer)",
    "len(co.customers.list())",
    # a wrong as_
    "await co.customers.get(1, as_=dict)",
    "await co.customers.get(1, as_=5)",
    "await co.customers.list(as_=Customer(customer_id=1))",
    "c1: Item = await co.customers.get(1, as_=Customer)",
    # of the client and its parts
    'ChargeOver("https://x", "u")',
    'ChargeOver("https://x", "u", "p", timeout=5)',
    'ChargeOver("https://x", "u", "p", quota=250)',
    "RetryPolicy(3)",
    'RetryPolicy(attempts="3")',
    "QuotaSettings(limit=None)",
    "co.stream([1, 2])",
    "made.ref(5)",
    # of the other objects
    'await co.subscriptions.create(paycyle="mon")',
    "await co.subscriptions.create(customer_id=1, line_items=[{'tierset': {'base': 1.5}}])",
    "await co.subscriptions.cancel(1, cancel_date=20260131)",
    'await co.subscriptions.set_paycycle(1, "mon", form="body")',
    "await co.subscriptions.set_paymethod(1, paymethod=5)",
    "await co.subscriptions.upgrade(1, [{'line_item_idd': 5}])",
    "await co.subscriptions.get(1, expand=5)",
    "await co.subscriptions.delete(1)",
    "await co.transactions.create(customer_id=1, amount=1.5)",
    "await co.transactions.refund(1, amount=0.1)",
    "await co.transactions.pay(1)",
    'await co.transactions.update(1, amount="1")',
    "await co.transactions.change_applied_amounts(1, [{'invoice_id': 1, 'applied': 1.5}])",
    'await co.usage.create(line_item_id="5", usage_value=1)',
    "await co.usage.create(line_item_id=5, usage_value=1.5)",
    "await co.usage.upload([])",
    "co.usage.upload([{'usage_val': 1}])",
    "await co.terms.list(where=F.terms_id == 1)",
    "await co.terms.get(1)",
    "await co.log.list(limit=5)",
    "await co.quotes.delete(1)",
    "await co.notes.create(note=5)",
    'await co.creditcards.create(number=4111, expdate_year="2030")',
    'await co.ach.update(1, name="x")',
    'await co.resthooks.create(target="https://x")',
    'await co.config.set("x")',
    "await co.teapot.get()",
    'await co.reports.report_data(1, limit="5")',
    'await co.aggregate("invoice", ["SUM(total)"], by=5)',
    'await co.currencies.set_exchange_rate("USD", "CAD", 1.35)',
    'await co.users.send_password_reset(1, action="reset")',
    "h1: Usage = await co.subscriptions.get(1)",
    "h2: Subscription = (await co.usage.list())[0]",
    # of references
    "await co.invoices.create(customer_id=made, line_items=lines)",
    "await co.customers.create(company=made.ref())",
    "h3: int = made.ref()",
    "await co.invoices.void(made.ref().path)",
    # of raw JSON
    "h4: Customer = await co.customers.get(1, raw=True)",
    "h5: Sequence[Customer] = await co.customers.list(raw=True)",
    "await co.customers.get(1, raw=True, as_=Customer)",
    "await co.customers.list(on_unreadable=5)",
    "co.customers.iterate(on_unreadable=lambda: None)",
    # of bulk scopes and streams
    'co.bulk().customers.create(compny="x")',
    "co.bulk(25)",
    "await co.bulk().submit(5)",
    'co.stream([made], ordered="yes")',
    "for outcome in co.stream([made]): print(outcome)",
    "async for outcome in co.stream([made]): print(outcome.valu)",
    "h6: Customer = (await made.wait()).unwrap()",
    # of authentication and options
    'ChargeOver("https://x", "u", "p", auth="digest")',
    'ChargeOver("https://x", "u", "p", flags=["emails"])',
    'co.with_options(auth="basic")',
    'ChargeOver("https://x", "u", "p", dates="%d.%m.%Y")',
    # of webhooks
    "Webhooks(5)",
    'Webhooks("t").parse("text")',
    "event.nme",
    "h7: Customer = event.data.customer",
    'event.read("customer")',
    'event.name = "x"',
    # of filters
    "await co.customers.count(where=F.total)",
    "await co.customers.count(where=[F.total > 1, True])",
    "F.date < None",
    "F.total.contains()",
]
RIGHT = [
    'await co.customers.create(company="x", terms_id=3, no_taxes=True, tags=["a"])',
    'await co.customers.create(parent_customer_id=made.ref(), extra={"x": 1})',
    'await co.customers.update(ExternalKey("a"), company=None)',
    "await co.customers.delete(made)",
    'd1: Customer = await co.customers.get(token="t")',
    "d2: Sequence[Customer] = await co.customers.list(where=[F.total > 1], order='-total')",
    'await co.invoices.void(Token("t"))',
    "await co.invoices.create(customer_id=1, line_items=lines, date=dt.date(2026, 1, 31))",
    "d3: int = await co.customers.count()",
    "d4: bytes = await co.customers.get(1, raw=True)",
    "d5: Subscription = await co.subscriptions.get(1, expand='line_items')",
    "await co.transactions.refund(1, amount=Decimal('1.50'), form='path')",
    "co.usage.upload([{'line_item_id': 1, 'usage_value': '1.5', 'from': dt.date(2026, 1, 1)}])",
    "d6: Usage = (await co.usage.list(where=F.line_item_id == 5))[0]",
    "d7: Customer | None = event.data.customer",
    "async for d8 in co.stream([made], ordered=True): print(d8.unwrap().id)",
    "print(d4, d5, d6, d7, Webhooks('t').parse(b''))",
    'print(d1, d2, d3, Decimal(1), RetryPolicy(attempts=3), ChargeOver("https://x", "u", "p"))',
]
LINES = [*WRONG, *RIGHT]
FIRST = HEAD.count("\n") + 1  # the number of the first call's line


def source() -> str:
    return HEAD + "".join(f"    {line}\n" for line in LINES)


def environment() -> dict[str, str]:
    found = dict(os.environ)
    if PARENT.name != "site-packages":
        found["MYPYPATH"] = str(PARENT)
    return found


@cache
def mypy_lines() -> dict[int, str]:
    """The lines that mypy refuses, with its words."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wrong.py"
        path.write_text(source(), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "",
             "--cache-dir", str(Path(folder) / "cache"), path.name],
            capture_output=True, text=True, check=False, cwd=folder, env=environment(), timeout=900,
        )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    matches = re.finditer(r"^wrong\.py:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    return {int(match[1]): match[2] for match in matches}


@cache
def pyright_lines() -> dict[int, str]:
    """The lines that pyright refuses, with its words."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wrong.py"
        path.write_text(source(), "utf-8")
        config = {"include": ["wrong.py"], "typeCheckingMode": "standard"}
        if PARENT.name != "site-packages":
            config["extraPaths"] = [str(PARENT)]
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable,
             "--project", folder],
            capture_output=True, text=True, check=False, cwd=folder, timeout=900,
        )  # fmt: skip
    report = json.loads(done.stdout)
    return {
        diagnostic["range"]["start"]["line"] + 1: diagnostic["message"]
        for diagnostic in report["generalDiagnostics"]
        if diagnostic["severity"] == "error"
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_wrong_calls_are_refused_and_right_ones_are_not(checker: str) -> None:
    """Every wrong line has an error, and no other line has one."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    found = mypy_lines() if checker == "mypy" else pyright_lines()
    accepted = [line for number, line in enumerate(WRONG, FIRST) if number not in found]
    assert accepted == []
    refused = {line: found[n] for n, line in enumerate(RIGHT, FIRST + len(WRONG)) if n in found}
    assert refused == {}
    assert {number for number in found if number < FIRST} == set()
    assert len(WRONG) >= 40
