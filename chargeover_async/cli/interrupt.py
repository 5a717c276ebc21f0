"""Ctrl-C for commands that wait for what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator

import click


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """Ctrl-C cancels what runs here: once, and it drains; twice, and it is broken off."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            click.echo("\nBroken off.", err=True)
            # Not at once: two that come together would count as one, and be awaited.
            loop.call_soon(task.cancel)
            return
        interrupted = True
        click.echo(
            "\nInterrupted: nothing more is sent, what is under way is awaited "
            "(Ctrl-C once more does not wait).",
            err=True,
        )
        task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


__all__ = ("interruptible",)
