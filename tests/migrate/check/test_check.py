"""What is found before anything is sent: each kind of bad input has one message."""

from __future__ import annotations

import pytest
from support.import_world import CUSTOMERS, INVOICES, Folder

from chargeover_async.migrate import BadInput, rows_plan
from chargeover_async.migrate.check.check import check
from chargeover_async.migrate.check.found import SHOWN
from chargeover_async.migrate.rows import Row

BOTH = CUSTOMERS + INVOICES
GOOD = {
    "customers_csv": "Id,Name\n1,A\n2,B\n",
    "invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n8,2,2026-01-02\n",
    "lines_csv": "Invoice,Rate\n8,1.00\n7,2.50\n7,0\n",
}


def test_good_files_are_counted_and_forecast(folder: Folder) -> None:
    """Requests are full batches per stage and one first contact; 250 of them take a minute."""
    forecast = folder.check(BOTH, **GOOD).forecast()
    assert (forecast.operations, forecast.requests, forecast.bad_rows) == (4, 3, 0)
    assert forecast.seconds == pytest.approx(3 * 60 / 250)


def test_loads_without_a_reference_share_a_stage(folder: Folder) -> None:
    """Only a load that refers to another waits for it, so that fewer batches are half empty."""
    items = '[[load]]\nobject = "item"\nfile = "items.csv"\n[load.fields]\nname = "{N}"\n'
    checked = folder.check(CUSTOMERS + items + INVOICES, **GOOD, items_csv="N\nx\n")
    assert checked.stages() == [[(0, 0), (1, 0)], [(2, 0)]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"customers_csv": "Id,Nme\n1,A\n"},
            (
                r'customers\.csv, column "Name", field company: the file has no such column '
                r'\(plan\.toml: load 1\); did you mean "Nme"\?'
            ),
        ),
        (
            {"customers_csv": "Id;Name\n1;A\n"},
            r"no such column .*; its first line is the one column \"Id;Name\": say delimiter = ';'",
        ),
        ({"customers_csv": "Id,Wer ist es\n1,A\n"}, r"no such column .*; it has Id, Wer ist es"),
        (
            {"customers_csv": "Id,Name\n1,A\n,B\n"},
            'row 3, column "Id", field external_key: .*empty',
        ),
        ({"customers_csv": "Id,Name\n1,A\n \t,B\n"}, r"row 3, .* the key is empty"),
        (
            {"customers_csv": "Id,Name\n1,A\n2,B\n1,C\n"},
            (
                r'customers\.csv row 4, field external_key: the key "c-1" is taken by '
                r"customers\.csv row 2"
            ),
        ),
        ({"customers_csv": 'Id,Name\n"1\n2",A\n'}, r"row 2: .*control characters"),
        (
            {"invoices_csv": "Id,Customer,Date\n7,1,01.02.2026\n8,2,2026-01-02\n"},
            r'invoices\.csv row 2, column "Date", field date: "01\.02\.2026" is not a date',
        ),
        (
            {"invoices_csv": "Id,Customer,Date\n7,9,2026-01-01\n8,2,2026-01-02\n"},
            (
                r'invoices\.csv row 2, field customer_external_key: "c-9" is the key of no row of '
                r"customers\.csv"
            ),
        ),
        (
            {"lines_csv": 'Invoice,Rate\n8,1.00\n7,"1,234.50"\n'},
            r'lines\.csv row 3, column "Rate", field line_items\.line_rate: "1,234\.50" is not an',
        ),
        (
            {"lines_csv": "Invoice,Rate\n8,1.00\n9,1.00\n"},
            r'lines\.csv row 3, column "Invoice": "9" is in no row of invoices\.csv: it has no par',
        ),
        (
            {"invoices_csv": "Id,Customer,Date\n7,1,2026-01-01\n7,2,2026-01-02\n"},
            r'invoices\.csv row 3, column "Id": row 2 has the same value, so line_items have two',
        ),
        ({"lines_csv": "Invoce,Rate\n7,1\n"}, r'lines\.csv, column "Invoice", field match of line'),
        ({"lines_csv": "Invoice,Rate\n7,1,2\n"}, r"lines\.csv row 2: the row has 3 cells"),
        ({"customers_csv": "Id,Name\n1\n"}, r"customers\.csv row 2: the row has 1 cells, the he"),
        ({"customers_csv": ""}, r"customers\.csv is empty; its first line must name the columns"),
        ({"customers_csv": 'Id,Name\n1,"A\n'}, r"customers\.csv row 2 is not CSV"),
    ],
)
def test_bad_input_is_named(folder: Folder, change: dict[str, str], message: str) -> None:
    """One message each, naming file, row, column and field as far as there are any."""
    with pytest.raises(BadInput, match=message):
        folder.check(BOTH, **{**GOOD, **change})


def test_missing_file_is_named(folder: Folder) -> None:
    """A file that the plan names and that is not there."""
    with pytest.raises(BadInput, match=r"customers\.csv cannot be read: No such file"):
        folder.check(CUSTOMERS)


def test_all_problems_are_told_at_once(folder: Folder) -> None:
    """One reading finds every mistake, several in one row included."""
    rows = "Id,Customer,Date\n,1,soon\n8,2,later\n"
    with pytest.raises(BadInput) as caught:
        folder.check(BOTH, **{**GOOD, "invoices_csv": rows, "lines_csv": "Invoice,Rate\n8,x\n"})
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [
        (2, "external_key"),
        (2, "date"),
        (3, "date"),
        (2, "line_items.line_rate"),
    ]


def test_many_problems_are_cut_and_counted(folder: Folder) -> None:
    """The message stays readable; the count is true."""
    rows = "Id,Name\n" + "1,A\n" * 200
    with pytest.raises(BadInput, match=r"\.\.\. and 149 more") as caught:
        folder.check(CUSTOMERS, customers_csv=rows)
    assert (len(caught.value.problems), caught.value.count) == (SHOWN, 199)


def test_row_without_any_value_is_a_problem(folder: Folder) -> None:
    """A record of nothing would be refused by the API."""
    plan = '[[load]]\nobject = "customer"\nfile = "a.csv"\n[load.fields]\ncompany = "{A}"\n'
    with pytest.raises(BadInput, match=r"a\.csv row 3: every field of the row is empty"):
        folder.check(plan, a_csv="A,B\nx,\n,y\n")


def test_jsonl_column_that_no_row_has_is_a_mistake(folder: Folder) -> None:
    """A JSON Lines file has no header, so all its rows together stand for one."""
    plan = (
        '[[load]]\nobject = "customer"\nfile = "a.jsonl"\n'
        '[load.fields]\ncompany = "{name}"\nsuperuser_email = "{mail}"\n'
    )
    with pytest.raises(BadInput, match=r'a\.jsonl: no row has the column "mail" \(field superus'):
        folder.check(plan, a_jsonl='{"name": "A"}\n')
    folder.check(plan, a_jsonl='{"name": "A"}\n{"name": "B", "mail": "b@example.org"}\n')


def test_nested_json_is_checked_before_it_is_sent(folder: Folder) -> None:
    """A column that holds the lines themselves keeps its types, and its mistakes are found."""
    plan = (
        '[[load]]\nobject = "invoice"\nfile = "a.jsonl"\n'
        '[load.fields]\ncustomer_id = "{who}"\nline_items = "{lines}"\n'
    )
    good = '{"who": 1, "lines": [{"item_id": 1, "line_rate": 2.95}]}\n'
    bad = '{"who": 1, "lines": [{"item_id": 1, "line_rte": 2.95}]}\n'
    folder.check(plan, a_jsonl=good)
    with pytest.raises(BadInput, match=r"a\.jsonl row 2: .*line_items\[0\]\.line_rte"):
        folder.check(plan, a_jsonl=good + bad)


def test_unknown_references_may_be_sent(folder: Folder) -> None:
    """Records that the account has from before are named by their keys."""
    rows = "Id,Customer,Date\n7,old,2026-01-01\n8,2,2026-01-02\n"
    plan = BOTH.replace("invoices.csv", 'invoices.csv"\nunknown_references = "send')
    assert folder.check(plan, **{**GOOD, "invoices_csv": rows}).operations == 4


def test_reference_to_an_object_that_the_plan_does_not_load_is_not_checked(folder: Folder) -> None:
    """Invoices alone refer to customers that are there already."""
    files = {name: GOOD[name] for name in ("invoices_csv", "lines_csv")}
    assert folder.check(INVOICES, **files).operations == 2


TREE = """
[[load]]
object = "customer"
file = "a.csv"
[load.fields]
external_key = "{Id}"
parent_customer_external_key = "{Parent}"
company = "x"
"""


def test_parents_in_the_same_file_go_first(folder: Folder) -> None:
    """Rows are sent in as many rounds as the tree is deep, whatever their order in the file."""
    checked = folder.check(TREE, a_csv="Id,Parent\nleaf,mid\nmid,top\ntop,\nalone,\n")
    assert list(checked.scratch.rounds(0)) == [(2, 2), (3, 1)]
    assert checked.stages() == [[(0, 0)], [(0, 1)], [(0, 2)]]


def test_circle_of_parents_is_refused(folder: Folder) -> None:
    """Nobody of a circle can go first."""
    with pytest.raises(BadInput, match=r"a\.csv row 2: it refers to itself, by way of rows"):
        folder.check(TREE, a_csv="Id,Parent\na,b\nb,a\n")


def test_unknown_parent_in_the_same_file_is_refused(folder: Folder) -> None:
    """A parent that is in no row is most often a mistake."""
    with pytest.raises(BadInput, match=r'row 3, .*"c" is the key of no row of a\.csv'):
        folder.check(TREE, a_csv="Id,Parent\na,\nb,c\n")


def test_skipping_bad_rows_still_refuses_a_bad_file(folder: Folder) -> None:
    """Without a column no row is right."""
    plan = folder.plan(CUSTOMERS, customers_csv="Id\n1\n")
    with pytest.raises(BadInput, match="no such column"):
        check(plan, skip_bad_rows=True)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"memo": "m", "line_items": [{"item_id": 1}]},
            "invoice needs one of customer_id, customer_external_key, customer_token",
        ),
        ({"customer_id": 1}, "invoice needs at least one entry in line_items"),
        ({"customer_id": 1, "line_items": []}, "invoice needs at least one entry in line_items"),
    ],
)
def test_invoice_without_what_it_needs_is_found_before_anything_is_sent(
    record: dict[str, object], message: str
) -> None:
    """What the call itself would refuse is a mistake of its row, not the end of the import."""
    good = {"customer_id": 1, "line_items": [{"item_id": 1}]}
    with pytest.raises(BadInput) as caught:
        check(rows_plan({"invoice": [good, record]}))
    assert str(caught.value) == f"invoice rows row 2: {message}"


def test_what_only_a_create_can_check_is_checked_by_it() -> None:
    """A quote's own rules are those of ``quotes.create``."""
    with pytest.raises(BadInput, match=r"row 1: .*quotes.create needs one of customer_id"):
        check(rows_plan({"quote": [{"line_items": [{"item_id": 1}]}]}))


ALIKE = [("A1", "A1 "), ("A1", "A1\u00a0"), ("A1", "A\u200b1"), ("Caf\u00e9", "Cafe\u0301"),
         ("A 1", "A  1"), ("A1 ", "A1\u00a0"), ("A1", "\ufeffA1"), ("A1", "A1\ufe0f")]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), ALIKE)
@pytest.mark.parametrize("apart", [False, True])
def test_keys_that_nobody_can_tell_apart_are_warned_of(
    folder: Folder, first: str, second: str, *, apart: bool
) -> None:
    """Whichever comes first, in one file or in two; both rows are named, and the signs shown."""
    load = CUSTOMERS.replace("c-{Id}", "{Id}")
    for key, other in ((first, second), (second, first)):
        text = load + (load.replace("customers.csv", "more.csv") if apart else "")
        plan = folder.plan(
            text,
            customers_csv=f"Id,Name\n{key},A\n" + ("" if apart else f"{other},B\n"),
            more_csv=f"Id,Name\n{other},B\n",
        )
        checked = check(plan)
        (warning,) = checked.forecast().warnings
        checked.close()
        assert str(warning) == (
            f"{'more.csv row 2' if apart else 'customers.csv row 3'}, field external_key: "
            f"the key {other!a} looks like {key!a} of customers.csv row 2: two records "
            "are made of them"
        )


def test_keys_that_differ_to_the_eye_are_not_warned_of(folder: Folder) -> None:
    """Nor the same key for two objects."""
    checked = folder.check(
        CUSTOMERS.replace("c-{Id}", "{Id}") + CUSTOMERS.replace("customer", "user").replace(
            "company", "first_name").replace("c-{Id}", "{Id} x").replace(" x", ""),
        customers_csv="Id,Name\nA1,A\na1,B\nA 1,C\n\u00c91,D\nE1,E\n",
        users_csv="Id,Name\nA1\u00a0,A\n",
    )  # fmt: skip
    assert checked.forecast().warnings == ()
    checked.close()


@pytest.mark.parametrize("key", ["\u200b", "\ufeff\u00ad", "\u3164", "\u2800 "])
def test_a_key_of_which_nothing_can_be_seen_is_refused(folder: Folder, key: str) -> None:
    """It is not empty, and nobody would find it."""
    with pytest.raises(BadInput, match=r"nothing of the key .* can be seen"):
        folder.check(CUSTOMERS.replace("c-{Id}", "{Id}"), customers_csv=f"Id,Name\n{key},A\n")


def test_blanks_around_cells_that_pair_children_make_no_orphans(folder: Folder) -> None:
    """Spreadsheets pad them."""
    checked = folder.check(
        CUSTOMERS + INVOICES,
        customers_csv="Id,Name\n1,A\n",
        invoices_csv="Id,Customer,Date\n 7 ,1,2026-01-01\n",
        lines_csv="Invoice,Rate\n7,1\n\u00a07\u00a0,2\n",
    )
    children = checked.loads[1].children_of(Row(2, {"Id": "7"}))
    assert (checked.operations, len(children["line_items"])) == (2, 2)
    checked.close()
