"""The options of the source: named as ours, never a secret, and checked before a task starts."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from support.places import DOCS
from support.spark_world import Schema

from chargeover_async import QuotaSettings, UsageError
from chargeover_async.spark import ChargeOverSource
from chargeover_async.spark.interface import arrow_schema
from chargeover_async.spark.options import STREAM, WRITE, Options

URL = "https://acme.chargeover.com/api/v3"


def login() -> tuple[str, str]:
    return "somebody", "hunter22"


def read(**given: str) -> Options:
    return Options({"url": URL, "object": "invoice"} | given, STREAM)


@pytest.mark.parametrize("name", ["username", "Password", "user", "token", "secret", "auth"])
def test_no_credentials_are_taken_from_options(name: str):
    """And none is repeated in the message."""
    with pytest.raises(UsageError, match="UI and the event log") as caught:
        read(**{name: "hunter22"})
    assert "hunter22" not in str(caught.value)


def test_a_name_that_is_nearly_one_of_ours_is_refused_and_the_engines_own_are_not():
    with pytest.raises(UsageError, match='did you mean "quotashare"'):
        read(quotaShar="x")
    assert read(checkpointLocation="/tmp/x", path="y").needed("object") == "invoice"  # noqa: S108


def test_options_are_read_in_any_case_and_form(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CHARGEOVER_QUOTA_SHARE", raising=False)
    given = read(
        WHERE='["total > 100", "date >= 2026-01-01"]',
        FIELDS="invoice_id, total",
        nested="TRUE",
        quota="100 / 10",
        login="ACME",
    )
    [part] = given.parts()
    assert [clause.text for clause in part.where] == ["total:GT:100", "date:GTE:2026-01-01"]
    assert (part.fields, part.nested) == (("invoice_id", "total"), True)
    assert part.connect.quota == QuotaSettings(limit=100, window_s=10)
    assert (part.connect.login, part.connect.quota_share) == ("ACME", None)
    monkeypatch.setenv("CHARGEOVER_QUOTA_SHARE", "redis://quota/0")
    assert read().connects()[0].quota_share == "redis://quota/0"
    assert read(quotaShare="/x").connects()[0].quota_share == "/x"
    assert pickle.loads(pickle.dumps(given)).needed("WHERE") == given.needed("where")  # noqa: S301


def test_the_account_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACME_URL", URL)
    [connect] = Options({"object": "invoice", "login": "ACME"}, STREAM).connects()
    assert (connect.url, connect.login) == (URL, "ACME")


def test_a_login_may_be_a_function_by_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    [connect] = read(login="test_spark_options:login").connects()
    assert callable(connect.login)
    assert connect.login() == login()
    with pytest.raises(UsageError, match="cannot be imported"):
        read(login="nowhere:login").connects()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nested": "yes"}, "true or false"),
        ({"parts": "-1"}, "whole number"),
        ({"where": '["a", 1]'}, "JSON list"),
        ({"where": "[oops"}, "JSON list"),
        ({"quota": "fast"}, "250/60"),
        ({"quota": "0/60"}, "250/60"),
        ({"accounts": "accounts.toml"}, "not both"),
        ({"object": "nonsense"}, "nonsense"),
        ({"moments": "mine"}, "moments"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, str], said: str):
    with pytest.raises(UsageError, match=said):
        read(**given).parts()


def test_overwrite_is_refused():
    source = ChargeOverSource({"object": "customer", "url": URL})
    with pytest.raises(UsageError, match="append"):
        source.writer(Schema(["external_key"]), True)


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        (["company"], {}, "no column external_key"),
        (["external_key", "compani"], {}, "compani"),
        (["external_key"], {"existing": "replace"}, "existing"),
        (["external_key"], {"object": "transaction"}, "transaction"),
        (["id"], {"key": "row"}, "names no column"),
    ],
)
def test_a_write_is_checked_before_anything_is_sent(
    names: list[str], given: dict[str, str], said: str
):
    source = ChargeOverSource({"object": "customer", "url": URL} | given)
    with pytest.raises(UsageError, match=said):
        source.writer(Schema(names), False)


def test_files_that_are_there_are_refused_before_anything_is_sent(tmp_path: Path):
    there = tmp_path / "failures.jsonl"
    there.write_text("x")
    for name in ("failures", "results"):
        source = ChargeOverSource({"object": "customer", "url": URL, name: str(there)})
        with pytest.raises(UsageError, match="exists"):
            source.writer(Schema(["external_key"]), False)


def test_a_schema_is_the_same_whatever_the_records_hold():
    """Nothing is asked for, and nothing is lost on the way to Spark's types."""
    assert ChargeOverSource.name() == "chargeover"
    given = {"object": "invoice", "url": URL, "accountColumn": "account"}
    schema = arrow_schema(ChargeOverSource(given).schema())
    assert schema.names[:2] == ["account", "invoice_id"]
    types = {field.name: str(field.type) for field in schema}
    assert types["total"] == "decimal128(38, 18)"
    assert types["date"] == "date32[day]"
    assert types["mod_datetime"] == "timestamp[us]"
    assert types["line_items"].startswith("list<")
    utc = arrow_schema(ChargeOverSource(given | {"moments": "utc"}).schema())
    assert str(utc.field("mod_datetime").type) == "timestamp[us, tz=UTC]"


def test_every_option_is_in_the_document():
    text = (DOCS / "engines.md").read_text("utf-8")
    names: set[Any] = {*STREAM, *WRITE}
    assert {name for name in names if f"`{name}`" not in text} == set()
