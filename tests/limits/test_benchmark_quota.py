"""The quota benchmark runs, and its JSON has the shape that its readers rely on."""

import json

import pytest

quota = pytest.importorskip(
    "benchmarks.quota", reason="benchmarks are part of the checkout, not of the wheel"
)

FIGURES = {"requests", "operations", "created", "seconds", "http_429", "quota_used", "worst_window"}


def test_a_tiny_run_prints_one_json_object_on_its_last_line(capsys):
    """A hundred creates: every figure is there, every client creates every record."""
    quota.main(["--json", "--operations", "100"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report.keys() >= FIGURES | {"benchmark", "limit", "window_s", "versions", "machine"}
    assert report["beside"].keys() == {"aiolimiter", "plain_retry"}
    for figures in (report, *report["beside"].values()):
        assert figures.keys() >= FIGURES
        assert (figures["operations"], figures["created"]) == (100, 100)
        assert (figures["requests"], figures["http_429"]) == (4, 0)
    assert report["versions"].keys() == {
        "chargeover-async",
        "aiohttp",
        "aiolimiter",
        "msgspec",
        "yarl",
    }


def test_without_json_it_prints_a_table(capsys, monkeypatch):
    """One line for each client, the library's first."""
    figures = dict.fromkeys(FIGURES, 1)
    report = {**figures, "beside": {"aiolimiter": figures, "plain_retry": figures}}

    async def run(operations):
        assert operations == quota.DEFAULT_OPERATIONS
        return report

    monkeypatch.setattr(quota, "run", run)
    quota.main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        "chargeover_async",
        "aiolimiter",
        "plain_retry",
    ]


@pytest.mark.parametrize("size", ["0", "-5", "many"])
def test_no_operations_is_a_mistake(capsys, size):
    """A size that cannot be measured is refused before anything starts."""
    with pytest.raises(SystemExit):
        quota.main(["--operations", size])
    assert "--operations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ([], 0.0),
        ([1.0], 0.0),
        ([0.0, 0.024, 0.048], 1.0),
        ([i * 0.024 for i in range(601)], 1.0),
        ([i * 0.048 for i in range(601)], 0.5),
        ([0.0] * 250 + [6.0] * 250 + [6.1], 1.0),
    ],
)
def test_the_share_used_is_that_of_the_whole_windows_that_elapsed(accepted, used):
    """Even, half and bursting senders get the share that one would count by hand."""
    assert quota.quota_used(accepted) == pytest.approx(used, abs=0.001)


def test_the_worst_window_counts_refusals_too():
    """Arrivals in a half-open window, whatever became of them."""
    assert quota.worst_window([0.0, 1.0, 5.9, 6.0, 6.5]) == 4
    assert quota.worst_window([]) == 0
