"""Filtering, sorting and paging."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeover_async.sandbox import new_store
from chargeover_async.sandbox.api.router import PREFIX, Api
from chargeover_async.sandbox.protocol.where import (
    Clause,
    Order,
    parse_order,
    parse_query,
    parse_where,
)


def ids(account, query, name="customer"):
    return [record[f"{name}_id"] for record in account.ok("GET", f"/{name}?{query}")]


def where(account, clause, name="customer"):
    return ids(account, f"where={quote(clause, safe='')}&limit=500", name)


@pytest.fixture
def five(account):
    for number, company in enumerate(("delta", "alpha", "Echo", "bravo", "charlie"), 1):
        account.customer(
            company=company,
            external_key=f"key:{number}",
            custom_1=None if number == 2 else f"c,{number}",
            admin_id=number * 10,
            no_taxes=number % 2 == 1,
        )
        account.wall.advance(days=1)
    return account


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("customer_id:EQUALS:3", [3]),
        ("customer_id:NOTEQUALS:3", [1, 2, 4, 5]),
        ("customer_id:GT:3", [4, 5]),
        ("customer_id:GTE:3", [3, 4, 5]),
        ("customer_id:LT:3", [1, 2]),
        ("customer_id:LTE:3", [1, 2, 3]),
        ("customer_id:GT:1,customer_id:LT:4", [2, 3]),
        ("customer_id:GT:2.5", [3, 4, 5]),
        ("admin_id:GT:9", [1, 2, 3, 4, 5]),
        ("company:EQUALS:alpha", [2]),
        ("company:CONTAINS:ha", [2, 5]),
        ("company:EQUALS:ECHO", []),
        ("custom_1:IS:NULL", [2]),
        ("custom_1:ISNOT:NULL", [1, 3, 4, 5]),
        ("custom_1:NOTEQUALS:x", [1, 3, 4, 5]),
        (r"custom_1:EQUALS:c\,3", [3]),
        (r"external_key:EQUALS:key\:4", [4]),
        ("no_taxes:EQUALS:1", [1, 3, 5]),
        ("no_taxes:EQUALS:true", [1, 3, 5]),
        ("no_taxes:EQUALS:0", [2, 4]),
        ("write_datetime:GTE:2026-03-03", [3, 4, 5]),
        (r"write_datetime:EQUALS:2026-03-02 09\:30\:00", [2]),
        (r"write_datetime:GT:2026-03-02T11\:30\:00+02\:00", [3, 4, 5]),
        (r"write_datetime:LT:2026-03-02T09\:30\:00Z", [1]),
        ("customer_status_state:EQUALS:a", [1, 2, 3, 4, 5]),
        ("balance:EQUALS:0", [1, 2, 3, 4, 5]),
        ("customer_id:EQUALS:4limit=100?offset=0", [4]),
        ("", [1, 2, 3, 4, 5]),
    ],
)
def test_operator_selects(five, clause, expected):
    """Each operator, kind of field and form of date selects as documented."""
    assert where(five, clause) == expected
    count = five.ok("GET", f"/customer/_count?where={quote(clause, safe='')}")
    assert count == len(expected)


def test_count_without_where_counts_all(five):
    """The count is the number itself."""
    assert five.ok("GET", "/customer/_count") == 5
    assert five.ok("GET", "/invoice/_count") == 0


@pytest.mark.parametrize(
    "clause",
    [
        "external_key:EQUALS:a:b",
        "mod_datetime:GTE:2026-10-05T10:18:49-05:00",
        "company",
        "company:EQUALS",
        "company:LIKE:x",
        "company:equals:x",
        "company:IS:NOTHING",
        ":EQUALS:x",
        "company:EQUALS:x,",
    ],
)
def test_malformed_where_is_refused(five, clause):
    """What does not parse has the text of the connector's test data."""
    message = five.refused("GET", f"/customer?where={quote(clause)}")
    assert message == "Malformed WHERE clause."


@pytest.mark.parametrize("field", ["nonsense", "tags", "users.email", "email", "line_items"])
def test_unfilterable_field_is_named(five, field):
    """A field that is unknown or no scalar cannot be filtered by."""
    message = five.refused("GET", f"/customer?where={field}:EQUALS:1")
    assert message == f"You cannot filter by: {field}."


def test_bad_date_in_where_is_refused(five):
    """A date field compares with nothing but dates."""
    message = five.refused("GET", "/customer?where=write_datetime:GT:yesterday")
    assert message == "Missing or invalid parameter."


def test_dotted_fields_reach_related_records(account):
    """Contacts are found by customer, invoices by the items and custom fields of their lines."""
    first = account.customer(superuser_email="a@example.com")
    second = account.customer(superuser_email="b@example.com")
    account.ok("POST", "/user", {"first_name": "Jo", "customer_id": first})
    assert where(account, f"customers.customer_id:EQUALS:{first}", "user") == [1, 3]
    assert where(account, f"customers.customer_id:GT:{first}", "user") == [2]
    one, two = account.item(), account.item()
    account.invoice(first, {"item_id": one, "custom_2": "red"}, {"item_id": two})
    account.invoice(second, {"item_id": two})
    assert where(account, f"line_items.item_id:EQUALS:{one}", "invoice") == [10000]
    assert where(account, f"line_items.item_id:EQUALS:{two}", "invoice") == [10000, 10001]
    assert where(account, "line_items.custom_2:EQUALS:red", "invoice") == [10000]
    assert where(account, f"customer_id:EQUALS:{second}", "invoice") == [10001]


def test_derived_amounts_can_be_filtered_and_sorted(account):
    """Totals and statuses filter by what the record shows."""
    customer, item = account.customer(), account.item()
    for rate in ("30", "10.5", "20"):
        account.invoice(customer, {"item_id": item, "line_rate": rate})
    account.card(customer)
    account.ok("POST", "/invoice/10001?action=pay")
    assert where(account, "total:GT:10.5", "invoice") == [10000, 10002]
    assert where(account, "invoice_status_state:EQUALS:o", "invoice") == [10000, 10002]
    assert where(account, "balance:EQUALS:0", "invoice") == [10001]
    assert ids(account, "order=total:ASC", "invoice") == [10001, 10002, 10000]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("order=customer_id:DESC", [5, 4, 3, 2, 1]),
        ("order=customer_id", [1, 2, 3, 4, 5]),
        ("order=company:ASC", [3, 2, 4, 5, 1]),
        ("order=company:desc", [1, 5, 4, 2, 3]),
        ("order=no_taxes:ASC,customer_id:DESC", [4, 2, 5, 3, 1]),
        ("order=custom_1:ASC", [2, 1, 3, 4, 5]),
        ("order=custom_1:DESC", [5, 4, 3, 1, 2]),
        ("limit=2", [1, 2]),
        ("limit=2&offset=3", [4, 5]),
        ("offset=5", []),
        ("limit=2&offset=1&order=customer_id:DESC", [4, 3]),
        ("where=customer_id:GT:1&order=customer_id:ASC&limit=2", [2, 3]),
        ("where=customer_id:LT:5&order=customer_id:DESC&limit=2", [4, 3]),
        ("where=customer_id%3AEQUALS%3A2&order=customer_id:DESC", [2]),
        ("limit=nonsense", [1, 2, 3, 4, 5]),
        ("limit=2&limit=4", [1, 2]),
    ],
)
def test_order_and_page(five, query, expected):
    """Sorting, then the page; by rising id when nothing is said."""
    assert ids(five, query) == expected


@pytest.mark.parametrize(
    "order", ["customer_id:UP", "customer_id:DESClimit=1?offset=0", "company:DESC:ASC", ","]
)
def test_order_without_a_sound_direction_is_ignored(five, order):
    """As recorded: 200, and the rest of the query counts."""
    assert ids(five, f"where=customer_id:GT:2&order={order}") == [3, 4, 5]
    assert ids(five, f"order={order},customer_id:DESC&limit=2") == [5, 4]


def test_sorting_by_a_field_that_does_not_exist_is_refused(five):
    """An unknown field in order is refused; the recorded alias of an invoice's date is not."""
    assert five.refused("GET", "/customer?order=nonsense:ASC") == "You cannot order by: nonsense."
    assert five.ok("GET", "/invoice?order=invoice_date:DESC") == []


def test_page_is_ten_by_default_and_never_more_than_500(account):
    """The documented sizes of a page hold."""
    for number in range(503):
        account.store.seed("customer", {"company": f"c{number}"})
    assert len(account.ok("GET", "/customer")) == 10
    assert len(account.ok("GET", "/customer?limit=500")) == 500
    assert len(account.ok("GET", "/customer?limit=5000")) == 500
    assert ids(account, "where=customer_id:GT:500&order=customer_id:ASC&limit=500") == [
        501,
        502,
        503,
    ]


def test_keyset_paging_sees_every_record_once(account):
    """Walking by id GT last meets all records, gaps included."""
    for number in (1, 2, 5, 9, 10, 11, 30):
        account.store.seed("customer", {"customer_id": number})
    account.ok("DELETE", "/customer/9")
    seen, last = [], 0
    while page := ids(account, f"where=customer_id:GT:{last}&order=customer_id:ASC&limit=2"):
        seen += page
        last = page[-1]
    assert seen == [1, 2, 5, 10, 11, 30]


def test_lists_leave_out_nested_parts(account):
    """Lists lack lines, tags, customers, service data and categories, and nothing else."""
    customer = account.customer(tags=["a"], superuser_name="Jo Miller")
    account.invoice(customer, {"item_id": account.item()})
    left_out = {
        "customer": {"tags"},
        "user": {"customers"},
        "item": {"service_data", "categories"},
        "invoice": {"line_items"},
    }
    for name, missing in left_out.items():
        (listed,) = account.ok("GET", f"/{name}")
        single = account.ok("GET", f"/{name}/{listed[f'{name}_id']}")
        assert single.keys() - listed.keys() == missing
        assert all(single[key] == value for key, value in listed.items())


def test_query_string_is_split_before_it_is_decoded():
    """A parameter's value may hold anything, encoded; the first of a name counts."""
    assert parse_query("where=a%26b%3Dc&x=1+2&x=3&flag&=v") == {
        "where": "a&b=c",
        "x": "1 2",
        "flag": "",
    }
    assert parse_query("where=a:EQUALS:1limit=100?offset=0") == {
        "where": "a:EQUALS:1limit=100?offset=0"
    }


def test_backslash_escapes_only_itself_colon_and_comma():
    """Any other backslash stands for itself, also the last one."""
    assert parse_where(r"a:EQUALS:\\\:\,\n") == [Clause("a", "EQUALS", r"\:,\n")]
    assert parse_where("a:EQUALS:x\\") == [Clause("a", "EQUALS", "x\\")]


def test_order_takes_several_fields():
    """Fields are sorted by in the order they are named."""
    assert parse_order("a:DESC,b") == [Order("a", True), Order("b", False)]
    assert parse_order("a:SIDEWAYS,c") == [Order("c", False)]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_escaped_values_come_back(values):
    """Any text survives escaping, joining, encoding and parsing."""
    written = ",".join(f"a:EQUALS:{escaped(value)}" for value in values)
    query = parse_query("where=" + quote_plus(written.encode("utf-8", "replace")))
    expected = [value.encode("utf-8", "replace").decode() for value in values]
    assert [clause.value for clause in parse_where(query["where"])] == expected


# Against a naive model

SHOWN = ("customer_id", "company", "terms_id", "no_taxes", "custom_1", "write_datetime", "balance")
LETTERS = st.text(alphabet="abB: ,\\0", max_size=3)
STAMPS = st.builds("2026-01-0{} {:02}:00:00".format, st.integers(1, 2), st.integers(0, 2))
made = st.fixed_dictionaries(
    {"company": LETTERS, "balance": st.integers(0, 3), "write_datetime": STAMPS},
    optional={
        "terms_id": st.sampled_from([2, 3]),
        "no_taxes": st.booleans(),
        "custom_1": LETTERS,
    },
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "NOTEQUALS": operator.ne,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
}
chosen = st.one_of(
    st.tuples(
        st.sampled_from(["company", "custom_1"]), st.sampled_from([*OPERATORS, "CONTAINS"])
    ).flatmap(lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), LETTERS)),
    st.tuples(
        st.sampled_from(["customer_id", "terms_id", "no_taxes", "balance"]),
        st.sampled_from([*OPERATORS]),
        st.integers(0, 12).map(str),
    ),
    st.tuples(st.just("write_datetime"), st.sampled_from([*OPERATORS]), STAMPS),
    st.tuples(
        st.sampled_from(["custom_1", "company"]), st.sampled_from(["IS", "ISNOT"]), st.just("NULL")
    ),
)
sorting = st.lists(st.tuples(st.sampled_from(SHOWN), st.booleans()), max_size=3)
question = st.tuples(st.lists(chosen, max_size=2), sorting, st.integers(0, 4), st.integers(1, 4))
change = st.one_of(
    st.tuples(st.just("PUT"), st.integers(1, 12), st.fixed_dictionaries({"company": LETTERS})),
    st.tuples(st.just("DELETE"), st.integers(1, 12), st.none()),
    st.tuples(st.just("POST"), st.just(0), st.fixed_dictionaries({"company": LETTERS})),
)


def escaped(value):
    return value.replace("\\", r"\\").replace(":", r"\:").replace(",", r"\,")


def expected_of(records, clauses, order, offset, limit):
    """The page as one would find it with a pencil: test each record, sort, cut."""

    def passes(record):
        for field, operation, sent in clauses:
            value = record[field]
            if operation in ("IS", "ISNOT"):
                if (value is None) != (operation == "IS"):
                    return False
                continue
            if value is None:
                return False
            if operation == "CONTAINS":
                if sent not in value:
                    return False
            elif not OPERATORS[operation](value, sent if isinstance(value, str) else int(sent)):
                return False
        return True

    found = [record for record in records if passes(record)]
    for field, descending in reversed(order):
        found.sort(
            key=lambda record: (
                (record[field] is not None, record[field] or 0)
                if record[field] is None or not isinstance(record[field], str)
                else (True, record[field])
            ),
            reverse=descending,
        )
    return [record["customer_id"] for record in found][offset : offset + limit], len(found)


@settings(max_examples=150, deadline=None)
@given(st.lists(made, max_size=9), st.lists(st.tuples(st.none() | change, question), max_size=6))
def test_lists_agree_with_a_naive_model(seeded, steps):
    """Any where, order, limit and offset, also when records change between two pages."""
    store = new_store()
    api = Api(store)
    for record in seeded:
        store.seed("customer", record)
    for changed, (clauses, order, offset, limit) in steps:
        if changed is not None:
            method, id_, payload = changed
            api.answer(method, f"{PREFIX}/customer" + (f"/{id_}" if id_ else ""), payload)
        where = ",".join(
            f"{field}:{operation}:{escaped(sent)}" for field, operation, sent in clauses
        )
        by = ",".join(f"{field}:{'DESC' if falling else 'ASC'}" for field, falling in order)
        query = f"where={quote(where)}&order={quote(by)}&limit={limit}&offset={offset}"
        listed = api.answer("GET", f"{PREFIX}/customer?{query}", None)
        counted = api.answer("GET", f"{PREFIX}/customer/_count?where={quote(where)}", None)
        records = store.records("customer")
        page, count = expected_of(records, clauses, order, offset, limit)
        assert [record["customer_id"] for record in listed.response] == page
        assert counted.response == count


def test_next_page_sees_what_changed(account):
    """Whatever is remembered of a list is forgotten when anything changes, in whichever way."""
    first = account.customer(company="b")
    second = account.customer(company="c")
    query = "where=company:GTE:a&order=company:ASC"
    assert ids(account, query) == [first, second]
    account.ok("PUT", f"/customer/{first}", {"company": "d"})
    assert ids(account, query) == [second, first]
    third = account.store.seed("customer", {"company": "a"})
    assert ids(account, query) == [third, second, first]
    item = {
        "request_method": "PUT",
        "uri": f"/api/v3/customer/{third}",
        "payload": {"company": "z"},
    }
    account.bulk([item, {"request_method": "GET", "uri": f"/api/v3/customer?{query}"}])
    assert ids(account, query) == [second, first, third]
    account.ok("DELETE", f"/customer/{second}")
    assert ids(account, query) == [first, third]
    assert account.ok("GET", "/customer/_count?where=company:GTE:a") == 2
    account.store.clear()
    assert ids(account, query) == []


def test_list_of_overdue_changes_with_the_day(account):
    """What depends on the day is looked up anew on the next."""
    customer = account.customer(terms_id=3)
    account.invoice(customer, {"item_id": account.item()})
    query = "where=is_overdue:EQUALS:1&order=total:ASC"
    assert ids(account, query, "invoice") == []
    account.wall.advance(days=1)
    assert ids(account, query, "invoice") == [10000]
