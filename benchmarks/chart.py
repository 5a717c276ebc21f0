"""Draw the comparison from the results of the benchmarks.

    python -m benchmarks.chart [--results FILE] [--to FILE]
    python -m benchmarks.chart --take [--runs N]     # run the benchmarks first (many minutes)

The results are a JSON object with one member for each benchmark: what it printed with ``--json``,
and with several runs the one whose first figure is the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).parent
OURS, OTHERS = "#1f6f8b", "#b9c4cc"
EXPORTERS = ("library", "by_hand_at_once", "by_hand", "dlt")

# What decides which of several runs is the median one.
TAKEN: dict[str, tuple[str, ...]] = {
    "engine": ("answering", "per_second", "stream"),
    "decode": ("invoice", "per_second", "library"),
    "import_": ("sandbox", "per_second", "with_journal"),
    "export": ("library", "per_second"),
    "memory": ("stream", "peak_mb_large"),
    "quota": ("quota_used",),
}


def take(runs: int) -> dict[str, Any]:
    """Run each benchmark, and keep the median run."""
    results: dict[str, Any] = {}
    for name, path in TAKEN.items():
        found: list[tuple[float, dict[str, Any]]] = []
        for _ in range(runs):
            command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
            out = subprocess.run(  # noqa: S603 - our own programs
                command, check=True, capture_output=True, text=True
            ).stdout
            result: Any = json.loads(out.splitlines()[-1])
            figure = result
            for key in path:
                figure = figure[key]
            found.append((figure, result))
            print(name, figure, flush=True)
        middle = statistics.median_low(figure for figure, _ in found)
        results[name] = next(result for figure, result in found if figure == middle)
    return results


def bars(axes: Axes, title: str, unit: str, figures: Mapping[str, float], ours: set[str]) -> None:
    """One panel: who, how much, ours in colour."""
    names = list(figures)
    drawn = axes.barh(
        names,
        list(figures.values()),
        color=[OURS if name in ours else OTHERS for name in names],
    )
    axes.bar_label(drawn, fmt=lambda value: f"{value:,.0f}", padding=3, fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.18)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def draw(results: Mapping[str, Any], to: Path) -> None:
    """All panels in one picture."""
    engine, quota = results["engine"], results["quota"]
    decode, import_, memory = results["decode"], results["import_"], results["memory"]
    export = {name: results["export"][name] for name in EXPORTERS}
    figure, panels = plt.subplots(4, 2, figsize=(11, 12.5), layout="constrained")
    (first, second), (third, fourth), (fifth, sixth), (seventh, eighth) = panels
    bars(
        first,
        "Creates through the sandbox, no quota",
        "operations a second (more is better)",
        engine["sandbox"]["per_second"],
        {"stream", "handles"},
    )
    bars(
        second,
        "The same, server that does no work",
        "operations a second (more is better)",
        engine["answering"]["per_second"],
        {"stream", "handles"},
    )
    refused = {"chargeover_async": quota["http_429"]}
    refused |= {name: row["http_429"] for name, row in quota["beside"].items()}
    bars(
        third,
        f"Requests refused with 429, {quota['operations']:,} operations",
        "refusals (fewer is better)",
        refused,
        {"chargeover_async"},
    )
    bars(
        fourth,
        "Invoices read from a page of 500",
        "records a second (more is better)",
        decode["invoice"]["per_second"],
        {"library"},
    )
    bars(
        fifth,
        "Rows of a CSV, imported into the sandbox",
        "rows a second (more is better)",
        import_["sandbox"]["per_second"],
        {"with_journal", "without_journal"},
    )
    bars(
        sixth,
        f"Peak memory with {memory['large']:,} operations",
        "MB (less is better)",
        {name: memory[name]["peak_mb_large"] for name in ("stream", "gather")},
        {"stream"},
    )
    bars(
        seventh,
        "Records exported from the sandbox",
        "records a second (more is better)",
        {name: row["per_second"] for name, row in export.items()},
        {"library"},
    )
    bars(
        eighth,
        "Requests for that",
        "requests (fewer is better)",
        {name: row["requests"] for name, row in export.items()},
        {"library"},
    )
    figure.savefig(to, dpi=110)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Read the options; take the figures if that is wanted; draw."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chart",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--to", type=Path, default=HERE / "chart.png")
    parser.add_argument("--take", action="store_true", help="run the benchmarks first")
    parser.add_argument("--runs", type=int, default=3, help="so many times each; default 3")
    options = parser.parse_args(arguments)
    if options.take:
        options.results.write_text(json.dumps(take(options.runs), indent=1) + "\n")
    draw(json.loads(options.results.read_text()), options.to)


if __name__ == "__main__":
    main()
