"""Each benchmark runs at a tiny size, and its JSON has the shape that its readers rely on."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

pytest.importorskip(
    "benchmarks", reason="benchmarks are part of the checkout, not of the wheel: python -m pytest"
)


def result_of(name: str, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The JSON object on the last line."""
    try:
        program = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        pytest.skip(f"{error}: the rivals are in the extra benchmark")
    program.main(["--json", *options])
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["benchmark"] == name
    assert result["versions"].keys() >= {"aiohttp", "msgspec"}
    assert result["machine"].keys() >= {"python", "system", "machine", "cpus"}
    return result


def test_engine(capsys: pytest.CaptureFixture[str]) -> None:
    """Both servers, every contender, and a ratio for each of the others."""
    result = result_of("engine", capsys, "--operations", "100", "--rounds", "1")
    others = {"constant_body", "by_hand", "httpx_pydantic", "one_call_each", "one_by_one"}
    for server in ("answering", "sandbox"):
        figures = result[server]
        assert figures["per_second"].keys() == others | {"stream", "handles"}
        assert figures["stream_over"].keys() == others
        assert min(figures["per_second"].values()) > 0
        assert figures["handles_over_by_hand"] > 0


def test_rerun(capsys: pytest.CaptureFixture[str]) -> None:
    """Each case ends as the files say, and says what it took."""
    result = result_of("rerun", capsys, "--rows", "100")
    assert result["cases"].keys() == {"unchanged", "some_changed", "all_changed", "few_of_many"}
    for figures in result["cases"].values():
        assert 0 < figures["requests"] <= 40
    assert result["cases"]["some_changed"]["without_reading"] > 0


def test_decode(capsys: pytest.CaptureFixture[str]) -> None:
    """Both pages are full, and everyone read them."""
    result = result_of("decode", capsys, "--records", "500", "--rounds", "1")
    for kind in ("invoice", "customer"):
        assert result[kind]["per_second"].keys() == {"library", "json", "orjson", "pydantic"}
        assert result[kind]["library_over"].keys() == {"json", "orjson", "pydantic"}
        assert result[kind]["page_bytes"] > 100_000
        less = result[kind]["without"]
        assert less.keys() == {"decimals", "decimals_and_dates", "any_field"}
        assert all(rate > 0 for rate in less.values())


def test_import(capsys: pytest.CaptureFixture[str]) -> None:
    """Every row was created by everyone at both servers, with a journal and without."""
    result = result_of("import_", capsys, "--rows", "100", "--rounds", "1")
    for server in ("answering", "sandbox"):
        figures = result[server]
        assert figures["per_second"].keys() == {"with_journal", "without_journal", "by_hand"}
        assert figures["with_journal_over"].keys() == {"without_journal", "by_hand"}


def test_memory(capfd: pytest.CaptureFixture[str]) -> None:
    """A peak for each size, and the growth from one to the other."""
    result = result_of("memory", capfd, "--small", "100", "--large", "200")
    for name in ("stream", "gather"):
        row = result[name]
        assert row["peak_mb_large"] > 10
        assert row["growth"] == pytest.approx(
            row["peak_mb_large"] / row["peak_mb_small"] - 1, abs=0.01
        )


def test_scale(capsys: pytest.CaptureFixture[str]) -> None:
    """A time for each size of each family, and how it grows."""
    result = result_of("scale", capsys, "--most", "1100")
    assert result["families"].keys() == {"1", "5", "25", "60"}
    for row in result["families"].values():
        assert row["microseconds"].keys() == {"1000", "1100"}
        assert row["growth"] > 0


def test_sandbox(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each kind of request in bulk, and each question to an account with many records."""
    file = str(tmp_path / "shop.db")
    for options in ([], ["--store", file]):
        result = result_of("sandbox", capsys, "--records", "60", *options)
        assert result["bulk"].keys() >= {"create_customer", "create_invoice", "get_customer"}
        assert all(row["items_per_s"] > 0 for row in result["bulk"].values())
        assert result["many"]["milliseconds"].keys() >= {"count", "page_of_500_by_offset"}
    assert result["many"]["loading_s"] > 0
    with pytest.raises(SystemExit):  # a file that is there is not written to
        result_of("sandbox", capsys, "--store", file)


def test_export(capfd: pytest.CaptureFixture[str]) -> None:
    """Everybody writes every record; the library with a fraction of the requests."""
    pytest.importorskip("dlt", reason="the rivals are in the extra benchmark")
    result = result_of("export", capfd, "--records", "1600")
    others = {"dlt", "by_hand", "by_hand_at_once"}
    assert result["library_over"].keys() == others
    for name in ("library", *others):
        row = result[name]
        assert row.keys() == {
            "seconds",
            "per_second",
            "cpu_s",
            "last_tenth_over_first",
            "peak_mb",
            "requests",
        }
    assert (result["by_hand"]["requests"], result["by_hand_at_once"]["requests"]) == (4, 5)
    assert result["library"]["requests"] == 5
    assert result["requests_share"] == 1.25


def test_fairness(capsys: pytest.CaptureFixture[str]) -> None:
    """Latencies of both, in permits, and nobody refused the library."""
    result = result_of("fairness", capsys, "--seconds", "3")
    for row in (result, result["beside"]["shared_limiter"]):
        assert row["direct_calls"] >= 1
        assert 0 < row["median"] <= row["p99"] <= row["longest"]
        assert row["requests"] > row["direct_calls"]
    assert result["http_429"] == 0
    assert result["to_reach"] == {"median": 1.0, "p99": 2.0}


def test_the_chart_is_drawn_from_results(tmp_path: Path) -> None:
    """A picture that is not blank, from figures of every benchmark that it shows."""
    chart = pytest.importorskip("benchmarks.chart", exc_type=ModuleNotFoundError)
    rates = {"stream": 3.0, "handles": 2.0, "by_hand": 1.0}
    results = {
        "engine": {"sandbox": {"per_second": rates}, "answering": {"per_second": rates}},
        "quota": {"operations": 5, "http_429": 0, "beside": {"plain_retry": {"http_429": 7}}},
        "decode": {"invoice": {"per_second": {"library": 3.0, "json": 1.0}}},
        "import_": {"sandbox": {"per_second": {"with_journal": 1.0, "by_hand": 2.0}}},
        "export": {
            name: {"per_second": 1.0, "requests": 5}
            for name in ("library", "dlt", "by_hand", "by_hand_at_once")
        },
        "memory": {
            "large": 10,
            "stream": {"peak_mb_large": 40.0},
            "gather": {"peak_mb_large": 400.0},
        },
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    chart.main([f"--results={tmp_path / 'results.json'}", f"--to={tmp_path / 'chart.png'}"])
    picture = (tmp_path / "chart.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_the_figure_that_decides_is_in_each_result(capsys: pytest.CaptureFixture[str]) -> None:
    """What the chart takes the median by is what the benchmark prints."""
    chart = pytest.importorskip("benchmarks.chart", exc_type=ModuleNotFoundError)
    figure: Any = result_of("decode", capsys, "--records", "500", "--rounds", "1")
    for key in chart.TAKEN["decode"]:
        figure = figure[key]
    assert figure > 0


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("fairness", "--seconds=0"),
        ("engine", "--operations=0"),
        ("decode", "--records=-5"),
        ("import_", "--rows=0"),
        ("memory", "--large=0"),
        ("scale", "--most=0"),
        ("export", "--records=0"),
    ],
)
def test_no_operations_is_a_mistake(
    name: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A size that cannot be measured is refused before anything starts."""
    program = pytest.importorskip(f"benchmarks.{name}", exc_type=ModuleNotFoundError)
    with pytest.raises(SystemExit):
        program.main([option])
    assert option.split("=", maxsplit=1)[0] in capsys.readouterr().err
