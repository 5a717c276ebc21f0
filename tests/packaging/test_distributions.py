"""Wheel and sdist hold what they should, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from support.places import ROOT

pytest.importorskip("hatchling")
pytestmark = pytest.mark.process

IN_SDIST = {
    *(".ci", ".dockerignore", ".github", ".gitignore"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "PKG-INFO", "README.md"),
    *("SECURITY.md", "_chargeover_async_pytest.py", "benchmarks", "chargeover_async"),
    *("compose.sandbox.yaml", "compose.workers.yaml", "docs", "examples", "mkdocs.yml"),
    *("pyproject.toml", "tests"),
}


def tracked() -> set[str]:
    """The files of the source, as git has them, or as they lie there where no git is."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    files = (path for path in ROOT.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(ROOT)) for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both, built with what is installed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    return folder


def test_the_wheel_has_the_package_and_its_pytest_plugin(built: Path) -> None:
    """Every file of the package, data too; no tests, no documents."""
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if ".dist-info/" in name}
    wanted = {
        name
        for name in tracked()
        if name.startswith("chargeover_async/") or name == "_chargeover_async_pytest.py"
    }
    assert names - info == wanted
    assert {"chargeover_async/py.typed", "chargeover_async/limits/ledger.lua"} <= wanted
    kinds = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert {name.partition("/")[2] for name in info} == set(kinds)


def test_the_sdist_has_the_source_and_nothing_stray(built: Path) -> None:
    """What is tracked, so that its own tests can run."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name.partition("/")[0] for name in names} <= IN_SDIST
    assert names - {"PKG-INFO"} == {
        name for name in tracked() if name.partition("/")[0] in IN_SDIST
    }


def test_metadata_say_what_it_is(built: Path) -> None:
    """Each extra, the lowest Python, and a classifier for each that CI runs."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (member for member in archive.namelist() if member.endswith("/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("Project-URL")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    versions = re.findall(r'"(3\.\d+)"', workflow)
    classifiers = metadata.get_all("Classifier", [])
    told = [
        found[1]
        for classifier in classifiers
        if (found := re.fullmatch(r".* :: (3\.\d+)", classifier))
    ]
    assert told == versions


def test_python_m_is_the_command() -> None:
    """``python -m chargeover_async`` and ``chargeover-async`` are one."""
    command = [sys.executable, "-m", "chargeover_async", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert re.fullmatch(r"chargeover-async, version \d+\.\d+\.\d+\n", shown.stdout)
