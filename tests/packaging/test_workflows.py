"""What runs at the code host is what runs here, and only one job may publish."""

from __future__ import annotations

import importlib.util
from importlib.metadata import metadata
from typing import Any

import yaml
from support.places import ROOT

WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
}
NOT_FOR_USERS = {"test", "benchmark", "dev"}


def steps(workflow: str) -> list[str]:
    """The commands of all its jobs."""
    jobs = WORKFLOWS[workflow]["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_workflows_call_the_scripts_of_the_checkout() -> None:
    """So that what holds there can be tried anywhere."""
    assert steps("ci") == [".ci/run"]
    assert steps("publish")[0] == ".ci/run"
    assert steps("environments") == [".ci/environments python"]
    for name in (".ci/run", ".ci/environments", ".ci/site", ".ci/container"):
        assert (ROOT / name).stat().st_mode & 0o111, f"{name} cannot be executed"


def test_only_the_publishing_job_may_prove_who_it_is() -> None:
    """It runs nothing of ours, and needs no secret."""
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {"contents": "read"}
        for job, about in workflow["jobs"].items():
            publishes = (name, job) == ("publish", "publish")
            assert about.get("permissions", {}) == ({"id-token": "write"} if publishes else {})
            assert not (publishes and any("run" in step for step in about["steps"]))
        assert "secrets." not in str(workflow)


def test_each_extra_is_tried_alone() -> None:
    """`.ci/environments` has a probe for each that is for users."""
    spec = importlib.util.spec_from_file_location("probe", ROOT / ".ci" / "probe.py")
    assert spec is not None
    assert spec.loader is not None
    probe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(probe)
    extras = set(metadata("chargeover-async").get_all("Provides-Extra") or ()) - NOT_FOR_USERS
    assert extras <= set(probe.PROBES)
    line = f"extras=({' '.join(name for name in probe.PROBES if name != 'bare')})"
    assert line in (ROOT / ".ci" / "environments").read_text("utf-8")
