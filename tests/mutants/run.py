"""Small faults, put into the code one at a time: do the tests notice?

    python tests/mutants/run.py              all of them; writes results.md
    python tests/mutants/run.py bulk limits  those of some parts, which are printed only

`mutants.toml` is the list. Each names a module, the lines as they are (``before``), the lines with
the fault (``after``), and the tests that should notice. A mutant whose ``before`` is not found once
is stale: mend the list. One that changes nothing that counts says so in ``equivalent``.

Not part of the daily run: each mutant costs a run of its tests. The figure to aim for is every
mutant that is not equivalent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "chargeover_async"
LONGEST_S = 600  # a mutant that hangs is noticed, too


@dataclass(frozen=True)
class Mutant:
    """One fault: where, what, and who should notice."""

    name: str
    module: str  # "bulk/engine"
    before: str
    after: str
    tests: list[str]
    equivalent: str = ""  # why nobody can notice

    @property
    def part(self) -> str:
        """``"bulk"`` for ``"bulk/engine"``."""
        return self.module.partition("/")[0]


def read_mutants(file: Path = HERE / "mutants.toml") -> list[Mutant]:
    """The list, in its order."""
    return [Mutant(**table) for table in tomllib.loads(file.read_text("utf-8"))["mutant"]]


def apply(mutant: Mutant, source: str) -> str:
    """The module's text with the fault; raises ValueError for a mutant that is stale."""
    found = source.count(mutant.before)
    if found != 1:
        raise ValueError(f"{mutant.name}: `before` is found {found} times in {mutant.module}")
    return source.replace(mutant.before, mutant.after)


def is_noticed(mutant: Mutant) -> bool:
    """Run its tests against a copy of the package that has the fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(
            ROOT / PACKAGE, copy / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
        )
        module = copy / PACKAGE / f"{mutant.module}.py"
        module.write_text(apply(mutant, module.read_text("utf-8")), "utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
            "CI": "1",
        }
        command = [
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "-qx",
            "-p",
            "no:cacheprovider",
            *mutant.tests,
        ]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True
    if done.returncode not in {0, 1}:  # neither passed nor failed: the tests did not run
        raise RuntimeError(f"{mutant.name}:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 1


def write_results(rows: list[tuple[Mutant, bool]], file: Path = HERE / "results.md") -> None:
    """A page that says what was noticed, part by part."""
    seen = sum(noticed for _, noticed in rows)
    equal = sum(bool(mutant.equivalent) for mutant, noticed in rows if not noticed)
    summary = (
        f"`python tests/mutants/run.py`: {len(rows)} faults, {seen} noticed, {equal} that change "
        f"nothing that counts, {len(rows) - seen - equal} unseen."
    )
    lines = [
        "# Small faults, one at a time",
        "",
        summary,
        "",
        "| part | fault | |",
        "|---|---|---|",
    ]
    for mutant, noticed in rows:
        said = (
            "noticed"
            if noticed
            else f"equal: {mutant.equivalent}"
            if mutant.equivalent
            else "**unseen**"
        )
        lines.append(f"| {mutant.module} | {mutant.name} | {said} |")
    file.write_text("\n".join(lines) + "\n", "utf-8")


def main(parts: list[str]) -> int:
    """Run the mutants of some parts, or all and write the page; 1 if one went unseen."""
    mutants = [mutant for mutant in read_mutants() if not parts or mutant.part in parts]
    rows = []
    for mutant in mutants:
        noticed = is_noticed(mutant)
        rows.append((mutant, noticed))
        said = "noticed" if noticed else "equal" if mutant.equivalent else "UNSEEN"
        print(f"{said:8} {mutant.module}: {mutant.name}", flush=True)
    if not parts:
        write_results(rows)
    return int(any(not noticed and not mutant.equivalent for mutant, noticed in rows))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
