"""Reading a plan: what it may hold, and one clear message for each mistake."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from support.import_world import CUSTOMERS, INVOICES, Folder

from chargeover_async.errors import UsageError
from chargeover_async.migrate import rows_plan
from chargeover_async.migrate.plan import (
    Children,
    Choice,
    Constant,
    Nested,
    Several,
    read_plan,
)


def test_plan_is_read_with_its_defaults(folder: Folder) -> None:
    """Files are relative to the plan; UTF-8 and commas are the default."""
    plan = folder.plan(CUSTOMERS + INVOICES)
    customers, invoices = plan.loads
    assert (customers.object, customers.source.path) == ("customer", folder.path / "customers.csv")
    assert (customers.source.format, customers.source.encoding) == ("csv", "utf-8")
    assert (customers.source.delimiter, customers.empty) == (",", "omit")
    (lines,) = invoices.children
    assert isinstance(lines, Children)
    assert (lines.field, lines.match) == ("line_items", (("Invoice", "Id"),))
    assert invoices.references() == {"customer"}


def test_every_form_of_a_value(folder: Folder) -> None:
    """Templates, constants of each type, first-not-empty arrays, lists and nested objects."""
    plan = folder.plan(
        """
        [[load]]
        object = "item"
        file = "a.jsonl"
        [load.fields]
        name = ["{A}", "{B} {C}", "nameless"]
        type = "service"
        enabled = true
        custom_1 = 2.50
        pricemodel = { base = "{Price}", setup = 0, pricemodel = "uni" }
        [[load]]
        object = "customer"
        file = "b.tsv"
        [load.fields]
        tags = ["{T1}", "vip"]
        [[load]]
        object = "invoice"
        file = "c.txt"
        format = "csv"
        [load.fields]
        date = 2026-03-01
        memo = ""
        """
    )
    item, customer, invoice = (
        {field.name: field.value for field in load.fields} for load in plan.loads
    )
    assert isinstance(item["name"], Choice)
    assert len(item["name"].templates) == 3
    assert item["type"] == Constant("service")
    assert item["enabled"] == Constant(True)
    assert item["custom_1"] == Constant(Decimal("2.50"))
    assert isinstance(item["pricemodel"], Nested)
    assert isinstance(customer["tags"], Several)
    assert plan.loads[1].source.delimiter == "\t"
    assert invoice == {"date": Constant(dt.date(2026, 3, 1)), "memo": Constant("")}


LOAD = '[[load]]\nobject = "customer"\nfile = "a.csv"\n'
FIELDS = '[load.fields]\ncompany = "{Name}"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[load]", r"plan\.toml is not TOML: .*line 1"),
        ("", r"plan\.toml: the plan has no \[\[load\]\]"),
        ("load = 3", r'plan\.toml: the plan: "load" must be an array of tables'),
        ("lod = 3\n" + LOAD + FIELDS, r'the plan has an unknown key "lod"; did you mean "load"\?'),
        ("load = [1]", r"plan\.toml: load 1 must be a table"),
        ('[[load]]\nfile = "a.csv"\n' + FIELDS, 'load 1: "object" is missing'),
        (
            '[[load]]\nobject = "custmer"\n',
            (
                r'"object" must be one of .*customer, .*invoice, item, .*user, not "custmer"; '
                r'did you mean "customer"\?'
            ),
        ),
        ('[[load]]\nobject = "customer"\n' + FIELDS, 'load 1: "file" is missing'),
        (LOAD, 'load 1: "fields" is missing'),
        (LOAD + "[load.fields]\n", 'load 1: "fields" is empty'),
        (LOAD + "fields = 3", r'load 1: "fields" must be a table \(\[load.fields\]\), not 3'),
        (
            LOAD + 'delimeter = ";"\n' + FIELDS,
            r'load 1 has an unknown key "delimeter"; did you mean "delimiter"\?',
        ),
        (LOAD + 'delimiter = ";;"\n' + FIELDS, '"delimiter" must be one character'),
        (LOAD + 'encoding = "utf-9"\n' + FIELDS, '"encoding" is "utf-9", which names no text'),
        (LOAD + 'encoding = "base64"\n' + FIELDS, '"encoding" is "base64", which names no text'),
        (LOAD + 'encoding = "undefined"\n' + FIELDS, '"encoding" is "undefined", which names no'),
        (LOAD + 'encoding = "utf\\u00008"\n' + FIELDS, "which names no text encoding"),
        (LOAD + 'encoding = ""\n' + FIELDS, '"encoding" is "", which names no text encoding'),
        (LOAD.replace("a.csv", "a\\u0000.csv") + FIELDS, '"file" must be a file name, not'),
        (LOAD.replace("a.csv", "") + FIELDS, '"file" must be a file name, not'),
        ("load = " + "[" * 5_000 + "]" * 5_000, "cannot be read: it is nested too deeply"),
        (
            LOAD + "x." * 5_000 + "x = 1\n" + FIELDS,
            "cannot be read: it is nested too deeply|unknown key",
        ),
        (LOAD + "[load.fields]\ntags." + "x." * 5_000 + "x = 1\n", r"plan\.toml"),
        ("#" * (1 << 24) + "\n", "has more than 16777216 bytes, and is no plan"),
        (
            LOAD + 'format = "xml"\n' + FIELDS,
            r'"format" must be one of csv, .*, not "xml"',
        ),
        (LOAD + 'empty = "nul"\n' + FIELDS, r'"empty" must be .*, not "nul"; did you mean "null"'),
        (LOAD + "unknown_references = true\n" + FIELDS, '"unknown_references" must be one of'),
        (LOAD + "date_format = 3\n" + FIELDS, '"date_format" must be a strptime format'),
        (
            '[[load]]\nobject = "customer"\nfile = "a.xls"\n' + FIELDS,
            r'"file" "a\.xls" has an ending that tells no format; add format = "csv"',
        ),
        (
            LOAD + '[load.fields]\ncompny = "{Name}"',
            r'load 1: fields has an unknown field "compny"; did you mean "company"\?',
        ),
        (LOAD + '[load.fields]\ncompany = "{Name"', r'fields\.company: "{Name" has a lone "{"'),
        (LOAD + "[load.fields]\ncompany = true", r"fields\.company: True is not text"),
        (LOAD + '[load.fields]\nno_taxes = "maybe"', r'fields\.no_taxes: "maybe" is not a yes'),
        (LOAD + "[load.fields]\ncompany = [1]", r"fields\.company: an array must hold templates"),
        (
            LOAD.replace("customer", "invoice")
            + '[load.fields]\nline_items = [{ descrip = "a {Text}", line_rate = 1 }]',
            (
                r'fields\.line_items: "\{Text\}" would be sent as it stands, the same for all '
                r"rows; put it into \[load\.children\.line_items\], which may name the same file"
            ),
        ),
        (
            LOAD + '[load.fields]\ntags = [["{Tag}"]]',
            r'fields\.tags: "\{Tag\}" would be sent as it stands, the same for all rows$',
        ),
        (
            LOAD.replace("customer", "item") + '[load.fields]\npricemodel = { bas = "{Price}" }',
            r'^plan\.toml: load 1: fields\.pricemodel has an unknown field "bas"',
        ),
        (LOAD + "[load.fields]\nexternal_key = 3", r"external_key must be a template with a col"),
        (
            LOAD + '[load.fields]\nexternal_key = "all"',
            r"external_key must name a column, or every record gets the same key",
        ),
        (
            LOAD + FIELDS + '[load.children.line_items]\nfile = "b.csv"',
            r'load 1 children\.line_items: "line_items" is not a field that takes child rows',
        ),
        (
            INVOICES.replace('match = { Invoice = "Id" }', ""),
            r'load 1 children\.line_items: "match" is missing',
        ),
        (INVOICES.replace('{ Invoice = "Id" }', "{}"), '"match" must pair child columns'),
        (
            INVOICES.replace("line_rate", "line_rat"),
            r'line_items: fields has an unknown field "line_rat"; did you mean "line_rate',
        ),
        (
            INVOICES.replace("[load.fields]", '[load.fields]\nline_items = "{Lines}"'),
            r'load 1: "line_items" is given both in fields and in children',
        ),
        (
            INVOICES.replace("[load.fields]", "[load.fields]\nline_items = { item_id = 1 }"),
            r"fields\.line_items: child rows belong in \[load\.children\.line_items\]",
        ),
        (
            INVOICES + CUSTOMERS,
            r"load 1 refers to customer records by key, but they are loaded after it",
        ),
        (
            LOAD + "[load.fields]\nlanguage_id = 1.5",
            r'fields\.language_id: "1\.5" is not a whole number',
        ),
    ],
)
def test_mistake_in_the_plan_is_named(folder: Folder, text: str, message: str) -> None:
    """Each mistake is one UsageError naming the plan, the table and the key."""
    with pytest.raises(UsageError, match=message) as caught:
        folder.plan(text)
    assert "plan.toml" in str(caught.value)


def test_missing_plan_is_named(tmp_path: Path) -> None:
    """The path and the system's reason."""
    with pytest.raises(UsageError, match=r"no\.toml cannot be read: No such file"):
        read_plan(tmp_path / "no.toml")


def test_plan_in_another_encoding_is_refused(folder: Folder) -> None:
    """TOML is UTF-8."""
    folder.write("plan.toml", "# Müller\n", "latin-1")
    with pytest.raises(UsageError, match=r"plan\.toml is not TOML"):
        read_plan(folder.path / "plan.toml")


@pytest.mark.parametrize(
    ("said", "name"),
    [("customers", "customer"), ("subscription", "package"), ("resthooks", "_resthook")],
)
def test_objects_go_by_the_names_of_the_client_too(folder: Folder, said: str, name: str) -> None:
    """As in ``co.subscriptions``."""
    field = "target_url" if name == "_resthook" else "external_key"
    plan = folder.plan(
        f'[[load]]\nobject = "{said}"\nfile = "a.csv"\nfields = {{ {field} = "{{A}}" }}'
    )
    assert plan.loads[0].object == name
    assert rows_plan({said: []}).loads[0].object == name


def test_a_byte_order_mark_in_front_of_a_plan_is_none_of_it(folder: Folder) -> None:
    """As an editor on Windows writes it."""
    path = folder.write("plan.toml", "\ufeff" + LOAD + FIELDS)
    assert read_plan(path).loads[0].object == "customer"
