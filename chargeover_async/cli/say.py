"""Printing that cannot fail: a stream may be closed, full, broken, or of an odd encoding."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

import click


def say(text: str | bytes, *, err: bool = False) -> bool:
    """Print a line; False if the stream does not take it, now or ever again."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return False
    try:
        click.echo(text, err=err)
    except (OSError, ValueError):
        give_up(stream)
        setattr(sys, "stderr" if err else "stdout", None)
        return False
    return True


def give_up(stream: TextIO) -> None:
    """What is left in its buffer is not tried again at exit, where it would be a traceback."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def take_any_text() -> None:
    """Let the standard streams write as an escape what their encoding has not."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


__all__ = ("give_up", "say", "take_any_text")
