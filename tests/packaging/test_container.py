"""The Dockerfile and the compose files say what can be so; .ci/container tries them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from support.places import ROOT

from chargeover_async.cli import cli

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSED = sorted(ROOT.glob("compose.*.yaml"))


def can_be_given(command: list[str]) -> bool:
    """Whether the command line takes it."""
    program, *words = command
    if program != "chargeover-async":
        return program == "redis-server"
    words = [word.replace("/shop", str(ROOT / "examples" / "shop")) for word in words]
    assert cli.commands[words[0]].make_context(words[0], words[1:], parent=click.Context(cli))
    return True


def test_the_image_runs_the_sandbox_without_root_rights() -> None:
    """No shell between it and its signals; the user is a number, so that a cluster can check it."""
    (command,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    words = json.loads(command)
    assert words[:2] == ["chargeover-async", "sandbox"]
    assert can_be_given(words)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert "STOPSIGNAL SIGINT" in DOCKERFILE


def test_the_image_is_built_from_what_is_let_through() -> None:
    """Each source of a COPY is in .dockerignore's exceptions, and nothing else is."""
    let_through = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    sources = [
        name
        for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert sorted(sources) == sorted(let_through)
    assert all((ROOT / name).exists() for name in sources)


@pytest.mark.parametrize("path", COMPOSED, ids=lambda path: path.name)
def test_composed_services_run_commands_that_there_are(path: Path) -> None:
    """On the image of the Dockerfile, with folders that exist, in a network that exists."""
    composed: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    services = composed["services"]
    for service in services.values():
        assert can_be_given(service["command"])
        assert service["image"].startswith(("chargeover-async", "redis:"))
        assert service.get("network_mode", "service:sandbox") == "service:sandbox"
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in composed.get("volumes", {}) or (ROOT / source).is_dir()
    assert [service for service in services.values() if "build" in service] == [services["sandbox"]]
