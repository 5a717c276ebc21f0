"""The commands: their help, exit codes and messages."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result
from support.places import EXAMPLES

from chargeover_async import ChargeOver, DateFormat, __main__
from chargeover_async.cli import cli
from chargeover_async.errors import UsageError
from chargeover_async.migrate import Summary
from chargeover_async.sandbox import Faults, Sandbox

SHOP = EXAMPLES / "shop" / "plan.toml"
PLAN = """
[[load]]
object = "customer"
file = "customers.csv"
[load.fields]
external_key = "c-{Id}"
company = "{Name}"
"""
ENV = ("CHARGEOVER_URL", "CHARGEOVER_USERNAME", "CHARGEOVER_PASSWORD")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, and a folder of its own to leave failure files in."""
    asyncio.set_event_loop(None)
    monkeypatch.chdir(tmp_path)
    for name in ENV:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def running() -> Iterator[Sandbox]:
    """A sandbox on a loop of another thread: the commands under test have loops of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(quota=None)
    asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(300)
    yield sandbox
    asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(300)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(300)
    loop.close()


@pytest.fixture
def account(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as the account of the environment."""
    for name, value in zip(ENV, (running.url, running.username, running.password), strict=True):
        monkeypatch.setenv(name, value)
    return running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="chargeover-async")


def environment() -> dict[str, str]:
    """For a new process that shall find the package that is tested here, wherever it lies."""
    return {**os.environ, "PYTHONPATH": str(Path(__main__.__file__).parents[1])}


def write_plan(customers: str, plan: str = PLAN) -> None:
    Path("plan.toml").write_text(plan, "utf-8")
    Path("customers.csv").write_text(customers, "utf-8")


def many(count: int) -> str:
    return "Id,Name\n" + "".join(f"{number},N{number}\n" for number in range(count))


def summary_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


# -- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_an_example(name: str) -> None:
    """Each option says what it does; the example is a command line of that command."""
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Example: chargeover-async {name} " in result.stdout
    command = cli.commands[name]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", "") or parameter.param_type_name == "argument"


def test_wrong_usage_has_the_code_of_click() -> None:
    """2: an argument is missing."""
    assert run("import").exit_code == 2
    assert run("import", "plan.toml", "--no-such-option").exit_code == 2
    assert run("sandbox", "--kind", "square").exit_code == 2


def test_without_the_extra_one_line_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bare install says what to install, and exits with 2."""
    monkeypatch.setattr(__main__, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{__main__.NEEDS_EXTRA}\n"
    assert 'pip install "chargeover-async[cli]"' in __main__.NEEDS_EXTRA


# -- the account ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "variables", "wanted"),
    [
        ([], {}, None),
        (["--date-format", "%d.%m.%Y"], {}, DateFormat(date="%d.%m.%Y")),
        ([], {"CHARGEOVER_DATE_FORMAT": "%m/%d/%Y"}, DateFormat(date="%m/%d/%Y")),
        (
            ["--date-format", "%d.%m.%Y"],
            {"CHARGEOVER_DATE_FORMAT": "%m/%d/%Y", "CHARGEOVER_DATETIME_FORMAT": "%m/%d/%y %H:%M"},
            DateFormat(date="%d.%m.%Y", datetime="%m/%d/%y %H:%M"),
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "export", "import", "sync"])
@pytest.mark.parametrize("with_url", [False, True])
def test_every_command_can_be_told_how_the_account_writes_dates(
    command: str,
    options: list[str],
    variables: dict[str, str],
    wanted: DateFormat | None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    with_url: bool,
) -> None:
    """An option goes before the environment."""
    made: list[DateFormat | None] = []

    def refuse(
        _: object, url: str, *given: object, dates: DateFormat | None = None, **more: object
    ):
        made.append(dates)
        raise UsageError("seen")

    monkeypatch.setattr(ChargeOver, "__init__", refuse)
    for name in ENV:
        monkeypatch.setenv(name, "http://127.0.0.1/api/v3")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write_plan(many(1))
    arguments = {
        "check": [],
        "export": ["customer"],
        "import": ["plan.toml"],
        "sync": ["customer", "--folder", "s"],
    }[command]
    if with_url:
        arguments += ["--url", "http://127.0.0.1/api/v3"]
    result = run(command, *arguments, *options)
    assert (result.exit_code, made) == (4, [wanted]), result.output


def test_a_format_of_dates_that_is_none_is_refused_before_anything_is_sent(
    account: Sandbox,
) -> None:
    """With an example of one."""
    write_plan(many(1))
    result = run("import", "plan.toml", "--date-format", "%Q")
    assert result.exit_code == 4
    assert "'%Q' is no pattern of dates such as %d.%m.%Y" in result.stderr
    assert not account.log


# -- import -----------------------------------------------------------------------------------


def test_example_goes_into_the_embedded_sandbox() -> None:
    """No environment, no account: 0, nothing failed or unknown, and full batches."""
    result = run("import", str(SHOP), "--sandbox", "--json")
    assert result.exit_code == 0, result.output
    found = summary_of(result)
    assert (found["operations"], found["created"]) == (760, 760)
    assert (found["failed"], found["unknown"]) == (0, 0)
    requests = found["requests"]
    assert isinstance(requests, int)
    assert requests <= 1.1 * math.ceil(760 / 25) + 2
    assert "without a quota" in result.stderr


def test_summary_for_people_ends_with_the_counts() -> None:
    """The last line has all of them."""
    write_plan(many(30))
    result = run("import", "plan.toml", "--sandbox")
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"30 operations: 30 created, 0 failed, 0 unknown; 3 requests, \d+\.\d s", last
    )


def test_keys_that_look_alike_are_warned_of_on_the_error_output() -> None:
    """And sent: it may be meant."""
    write_plan("Id,Name\n1,A\n1\u200b,B\n")
    result = run("import", "plan.toml", "--sandbox", "--json")
    assert summary_of(result)["created"] == 2
    assert "Warning: customers.csv row 3, field external_key: the key 'c-1\\u200b'" in result.stderr


def test_dry_run_tells_the_price_and_sends_nothing(account: Sandbox) -> None:
    """Requests, and minutes at the default quota."""
    write_plan(many(60))
    result = run("import", "plan.toml", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.startswith("60 operations, 0 of them bad rows: 4 requests, 0.0 minutes")
    found = summary_of(run("import", "plan.toml", "--dry-run", "--json"))
    assert (found["operations"], found["requests"]) == (60, 4)
    assert not account.log


def test_dry_run_lists_the_bad_rows_that_are_skipped() -> None:
    """As the summary would only count them."""
    write_plan("Id,Name\n1,A\n,B\n3\n")
    result = run("import", "plan.toml", "--dry-run", "--skip-bad-rows")
    assert result.exit_code == 0
    assert result.stdout.startswith("3 operations, 2 of them bad rows")
    assert [line for line in result.stdout.splitlines() if line.startswith("Bad: ")] == [
        'Bad: customers.csv row 3, column "Id", field external_key: the key is empty',
        "Bad: customers.csv row 4: the row has 1 cells, the header has 2",
    ]
    found = summary_of(run("import", "plan.toml", "--dry-run", "--skip-bad-rows", "--json"))
    assert [problem["row"] for problem in found["problems"]] == [3, 4]
    write_plan("Id,Name\n" + ",B\n" * 60)
    text = run("import", "plan.toml", "--dry-run", "--skip-bad-rows").stdout
    assert text.count("Bad: ") == 50
    assert "... and more: 60 bad rows in all" in text


def test_each_file_has_its_counts(account: Sandbox) -> None:
    """Existing rows, too; and of a failure file only the objects that are in it."""
    account.store.seed("customer", {"company": "taken", "external_key": "c-1"})
    write_plan(many(3))
    result = run("import", "plan.toml", "--allow-existing")
    assert result.stdout.splitlines()[0] == (
        "customers.csv (customer): 3 rows, 2 created, 0 failed, 0 unknown, 1 existing"
    )
    line = {"object": "customer", "data": {"external_key": "x", "company": "X"}}
    Path("again.jsonl").write_text(json.dumps(line) + "\n")
    result = run("import", "again.jsonl")
    assert result.stdout.splitlines()[:-1] == [
        "again.jsonl (customer): 1 row, 1 created, 0 failed, 0 unknown"
    ]


def test_import_into_the_account_of_the_environment(account: Sandbox) -> None:
    """The first contact is counted with the other requests."""
    write_plan(many(30))
    result = run("import", "plan.toml", "--json")
    assert result.exit_code == 0, result.output
    assert summary_of(result)["requests"] == len(account.log) == 3


def test_failed_rows_give_1_and_a_failure_file(account: Sandbox) -> None:
    """Named after the plan, in the current folder; mended, it is imported again."""
    account.store.seed("customer", {"company": "taken", "external_key": "c-1"})
    write_plan(many(3))
    result = run("import", "plan.toml", "--json")
    assert result.exit_code == 1
    assert summary_of(result)["failed"] == 1
    assert 'plan.failures.jsonl; correct "data" in it and import that file' in result.stderr
    text = Path("plan.failures.jsonl").read_text("utf-8")
    Path("mended.jsonl").write_text(text.replace('"c-1"', '"c-1b"'), "utf-8")
    again = run("import", "mended.jsonl")
    assert again.exit_code == 0, again.output
    refused = run("import", "plan.toml")
    assert refused.exit_code == 4
    assert "holds the failures of an earlier import" in refused.stderr


def test_sandbox_takes_no_url() -> None:
    """Whoever gives both may believe that it goes to the account."""
    write_plan(many(1))
    result = run(
        "import", "plan.toml", "--sandbox", "--url", "https://example.chargeover.com/api/v3"
    )
    assert result.exit_code == 2
    assert "leave out --url" in result.stderr


def test_data_file_is_no_plan() -> None:
    """The data file in the place of the plan: the message says what belongs there."""
    write_plan(many(1))
    result = run("import", "customers.csv")
    assert result.exit_code == 4
    assert "customers.csv is not TOML" in result.stderr
    assert "a plan is a TOML file that names it" in result.stderr


def test_failure_file_can_be_named(account: Sandbox) -> None:
    """--failures FILE."""
    account.store.seed("customer", {"company": "taken", "external_key": "c-1"})
    write_plan(many(3))
    assert run("import", "plan.toml", "--failures", "mine.jsonl").exit_code == 1
    assert Path("mine.jsonl").exists()


def test_existing_rows_can_be_allowed(account: Sandbox) -> None:
    """--allow-existing: run the same import twice."""
    write_plan(many(3))
    assert run("import", "plan.toml").exit_code == 0
    result = run("import", "plan.toml", "--allow-existing")
    assert result.exit_code == 0
    assert "0 created, 0 failed, 0 unknown, 3 existing" in result.stdout


def test_stop_on_failure_gives_1_and_says_what_was_not_reached(account: Sandbox) -> None:
    """--stop-on-failure."""
    account.store.seed("customer", {"company": "taken", "external_key": "c-0"})
    write_plan(many(1000))
    result = run("import", "plan.toml", "--stop-on-failure")
    assert result.exit_code == 1
    assert "Stopped: customers.csv row 2 was refused" in result.stderr
    assert "not reached" in result.stdout


def test_unknown_rows_give_3(account: Sandbox) -> None:
    """An answer was lost and there is no key to look up: somebody must look."""
    write_plan("Name\nA\n", PLAN.replace('external_key = "c-{Id}"\n', ""))
    account.faults.script([None, "lost"])
    result = run("import", "plan.toml", "--json")
    assert result.exit_code == 3
    assert summary_of(result)["unknown"] == 1
    assert "look up the unknown ones, as they may be there" in result.stderr


@pytest.mark.parametrize(
    ("customers", "plan", "message"),
    [
        ("Id,Name\n1,A\n1,B\n", PLAN, 'customers.csv row 3, field external_key: the key "c-1" is'),
        ("Id,Nam\n1,A\n", PLAN, 'customers.csv, column "Name", field company: the file has no'),
        ("Id,Name\n", PLAN.replace("object", "objet"), 'plan.toml: load 1: "object" is missing'),
        ("Id,Name\n", PLAN.replace("company", "compny"), 'did you mean "company"?'),
    ],
)
def test_bad_input_gives_4_and_sends_nothing(
    account: Sandbox, customers: str, plan: str, message: str
) -> None:
    """One message that names file, row and field; with --json a summary that says why."""
    write_plan(customers, plan)
    result = run("import", "plan.toml", "--json")
    assert result.exit_code == 4
    assert message in result.stderr
    found = summary_of(result)
    assert (found["created"], found["failed"], found["requests"]) == (0, 0, 0)
    assert message in str(found["stopped"])
    assert not account.log


def test_bad_rows_can_be_skipped(account: Sandbox) -> None:
    """--skip-bad-rows: the good ones are imported, the bad ones written down."""
    write_plan("Id,Name\n1,A\n1,B\n2\n3,C\n")
    result = run("import", "plan.toml", "--skip-bad-rows", "--json")
    assert result.exit_code == 1
    found = summary_of(result)
    assert (found["operations"], found["created"], found["failed"]) == (4, 2, 2)


def test_missing_environment_is_named() -> None:
    """Every variable that is missing, in one message; code 4."""
    write_plan(many(1))
    result = run("import", "plan.toml")
    assert result.exit_code == 4
    assert "CHARGEOVER_URL, CHARGEOVER_USERNAME, CHARGEOVER_PASSWORD" in result.stderr
    result = run("import", "plan.toml", "--url", "https://example.chargeover.com/api/v3")
    assert result.exit_code == 4
    assert "set CHARGEOVER_USERNAME, CHARGEOVER_PASSWORD in the environment" in result.stderr


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.chargeover.com/api/v3", "in clear text to example.chargeover.com"),
        ("https://example.chargeover.com/api/v2", "must end in /api/v3"),
        ("example.chargeover.com", "must look like https://example.chargeover.com/api/v3"),
    ],
)
def test_wrong_url_is_refused_before_anything_is_sent(
    account: Sandbox, url: str, message: str
) -> None:
    """--url stands in for CHARGEOVER_URL; code 4."""
    write_plan(many(1))
    for command in (("import", "plan.toml"), ("check",)):
        result = run(*command, "--url", url)
        assert result.exit_code == 4
        assert message in result.stderr
    assert not account.log


def test_wrong_credentials_give_5_after_one_request(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message, nothing imported; the password is in no output."""
    monkeypatch.setenv("CHARGEOVER_PASSWORD", "not-the-password")
    write_plan(many(100))
    result = run("import", "plan.toml", "--json")
    assert result.exit_code == 5
    assert "check CHARGEOVER_USERNAME and CHARGEOVER_PASSWORD" in result.stderr
    assert len(account.log) == 1
    assert account.store.count("customer") == 0
    assert "not-the-password" not in result.output
    assert summary_of(result)["created"] == 0


def test_unreachable_server_gives_5(account: Sandbox, unused_tcp_port: int) -> None:
    """Within seconds, with the advice to check the URL."""
    write_plan(many(1))
    result = run("import", "plan.toml", "--url", f"http://127.0.0.1:{unused_tcp_port}/api/v3")
    assert result.exit_code == 5
    assert "check the URL and the network" in result.stderr


# -- check ------------------------------------------------------------------------------------


def test_check_tells_what_it_found(account: Sandbox) -> None:
    """URL and number of customers; two requests."""
    account.store.seed("customer", {"company": "A"})
    result = run("check")
    assert result.exit_code == 0
    assert f"{account.url}>: the credentials are accepted, the account has 1 customers" in (
        result.stdout
    )
    assert len(account.log) == 2


def test_check_refuses_wrong_credentials(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """5, as for an import."""
    monkeypatch.setenv("CHARGEOVER_USERNAME", "somebody")
    result = run("check")
    assert result.exit_code == 5
    assert "Nothing was changed; check CHARGEOVER_USERNAME" in result.stderr


# -- sandbox ----------------------------------------------------------------------------------


@pytest.mark.process
def test_sandbox_command_serves_until_it_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line is URL, user name and password of an account; stderr has its page's URL."""
    command = [sys.executable, "-m", "chargeover_async", "sandbox", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url, username, password = process.stdout.readline().split()
        page = process.stderr.readline().split()[-1]
        assert page == url.removesuffix("api/v3")
        with urlopen(page, timeout=300) as answer:  # noqa: S310 - http, as we have just seen
            assert b"<title>ChargeOver sandbox</title>" in answer.read()
        monkeypatch.setenv("CHARGEOVER_USERNAME", username)
        monkeypatch.setenv("CHARGEOVER_PASSWORD", password)
        result = run("check", "--url", url)
        process.terminate()
        assert process.wait(300) == 0
    assert result.exit_code == 0, result.output


def test_sandbox_options_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host, port, quota, window, kind, seed, file, seeds, faults and maintenance."""
    seen: list[object] = []

    def served(*arguments: object, faults: Faults, **options: object) -> None:
        seen.extend((arguments, options, faults.rates, faults.scripted, faults.seed))

    monkeypatch.setattr("chargeover_async.cli.sandbox.serve", served)
    options = ("--quota", "9", "--window", "6", "--kind", "none", "--store", "shop.db")
    options += ("--seed-from", str(SHOP), "--fault-rate", "lost:0.1", "--fault-script", "429*2")
    options += ("--fault-seed", "7", "--maintenance", "30")
    options += ("--webhook-host", "hooks.example.com")
    result = run("sandbox", "--port", "1", *options)
    assert result.exit_code == 0
    assert seen == [
        ("127.0.0.1", 1),
        {
            "quota_limit": 9,
            "quota_window_s": 6.0,
            "quota_kind": None,
            "seed": 0,
            "path": "shop.db",
            "seeds": (str(SHOP),),
            "maintenance_s": 30.0,
            "webhook_hosts": ("hooks.example.com",),
        },
        {"lost": 0.1},
        2,
        7,
    ]


def test_sandbox_refuses_what_it_cannot_be() -> None:
    """A quota of nothing, or an address that others can reach."""
    assert run("sandbox", "--quota", "0").exit_code == 2
    assert run("sandbox", "--window", "nan").exit_code == 2
    assert "known are" in run("sandbox", "--fault-script", "nothing").stderr
    assert "as in 'lost:0.1'" in run("sandbox", "--fault-rate", "lost").stderr
    result = run("sandbox", "--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "only to loopback" in result.stderr


def test_sandbox_refuses_a_port_that_cannot_be() -> None:
    """As wrong usage, without a traceback."""
    result = run("sandbox", "--port", "99999")
    assert result.exit_code == 2
    assert "99999 is not in the range" in result.stderr


def test_sandbox_names_a_port_that_is_taken(running: Sandbox) -> None:
    """4: the message names address and port."""
    result = run("sandbox", "--port", str(running.port))
    assert result.exit_code == 4
    assert f"cannot listen on 127.0.0.1 port {running.port}" in result.stderr


def test_sandbox_names_a_store_that_is_something_else(tmp_path: Path) -> None:
    """4: the message names the file, which stays as it is."""
    other = tmp_path / "notes.txt"
    other.write_text("not a database\n" * 100)
    result = run("sandbox", "--port", "0", "--store", str(other))
    assert result.exit_code == 4
    assert f"{other}: it is not a sandbox store" in result.stderr
    assert other.read_text() == "not a database\n" * 100


@pytest.mark.process
def test_quickstart_runs_and_prints_the_total() -> None:
    """The shortest true program is true."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(SHOP.parents[1] / "quickstart.py")],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"invoice \d+ of customer 1: 5\.9\d?\n", done.stdout)


def test_summary_of_nothing_is_an_object() -> None:
    """Scripts can parse the last line whatever happened, a missing plan included."""
    result = run("import", "no.toml", "--json")
    assert result.exit_code == 4
    assert summary_of(result).keys() == json.loads(Summary(operations=0).json()).keys()


# -- streams ----------------------------------------------------------------------------------

COMMAND = f"{sys.executable} -m chargeover_async import plan.toml --sandbox --skip-bad-rows"


def in_shell(redirection: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(  # noqa: S603 - our own words
        ["/bin/sh", "-c", ("{ " if "}" in redirection else "") + f"{COMMAND} {redirection}"],
        env=environment() | variables,
        capture_output=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("where", ["out", "err"])
@pytest.mark.parametrize("how", [">/dev/full", ">&-", "| true"])
def test_streams_that_take_nothing_cost_no_count(where: str, how: str) -> None:
    """All rows are accounted for on the stream that is left, without a traceback."""
    write_plan(many(30) + "7,taken\n")
    if how == "| true":  # who read it is gone
        how = "| true" if where == "out" else "2>&1 >&3 | true; } 3>&1"
        _, out, err = in_shell(how)
    else:
        code, out, err = in_shell(how if where == "out" else f"2{how}")
        assert code == 1
    assert "31 operations: 30 created, 1 failed, 0 unknown" in (out + err)
    assert "Traceback" not in out + err
    assert "Exception" not in out + err
    assert len(Path("plan.failures.jsonl").read_text("utf-8").splitlines()) == 1


@pytest.mark.process
def test_streams_of_an_odd_encoding_show_what_they_have_not_as_escapes() -> None:
    """Names of files and of columns, in messages and in the summary."""
    write_plan("Id,Name\n1,A\n", PLAN.replace("customers.csv", "\u017dilina.csv"))
    Path("customers.csv").rename("\u017dilina.csv")
    code, out, _ = in_shell("", PYTHONIOENCODING="latin-1")
    assert (code, r"\u017dilina.csv (customer): 1 row, 1 created" in out) == (0, True)
