"""The quota benchmark runs, and its JSON has the shape that its readers rely on."""

import json

import pytest

quota = pytest.importorskip(
    "benchmarks.quota", reason="benchmarks are part of the checkout, not of the wheel"
)

FIGURES = {
    *("requests", "operations", "done", "seconds", "http_429", "quota_used", "worst_window"),
    "operations_a_window",
}
BESIDE = ["aiolimiter", "plain_retry", "one_call_each"]


@pytest.mark.process
def test_a_tiny_run_prints_one_json_object_on_its_last_line(capsys):
    """A hundred operations: every figure is there, every client does every operation."""
    quota.main(["--json", "--operations", "100"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report.keys() >= FIGURES | {"benchmark", "limit", "window_s", "versions", "machine"}
    assert report.keys() >= {"times_one_call_each", "seconds_over_by_hand"}
    assert list(report["beside"]) == BESIDE
    for figures in (report, *report["beside"].values()):
        assert figures.keys() >= FIGURES
        assert figures["operations"] == figures["done"]
        assert (figures["requests"], figures["http_429"]) == (4, 0)
    assert report["operations"] == 100
    assert report["beside"]["one_call_each"]["operations"] == 4


def test_without_json_it_prints_a_table(capsys, monkeypatch):
    """One line for each client, the library's first."""
    figures = dict.fromkeys(FIGURES, 1)
    report = {**figures, "times_one_call_each": 25, "beside": dict.fromkeys(BESIDE, figures)}

    async def run(operations):
        assert operations == quota.DEFAULT_OPERATIONS
        return report

    monkeypatch.setattr(quota, "run", run)
    quota.main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["chargeover_async", *BESIDE]


def test_the_work_is_mixed_and_no_record_comes_twice_within_a_batch():
    """Half creates, three tenths updates, two tenths reads."""
    kinds = [quota.kind(number) for number in range(1000)]
    assert [kinds.count(kind) for kind in ("POST", "PUT", "GET")] == [500, 300, 200]
    for batch in quota.batches_of(5000):
        uris = [item["uri"] for item in batch if item["request_method"] != "POST"]
        assert 10 <= len(uris) == len(set(uris))


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
