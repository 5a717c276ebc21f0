"""Ctrl-C and SIGTERM for commands that wait for what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator

from .say import say


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """Ctrl-C, or SIGTERM, cancels what runs here: once, it drains; twice, it is broken off."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            say("\nBroken off.", err=True)
            # Not at once: two that come together would count as one, and be awaited.
            loop.call_soon(task.cancel)
            return
        interrupted = True
        say(
            "\nInterrupted: nothing more is sent, what is under way is awaited "
            "(once more does not wait).",
            err=True,
        )
        task.cancel()

    heard: list[signal.Signals] = []
    # Not on Windows, nor in a thread: there they do what they always do.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
            heard.append(number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Generator[None]:
    """SIGTERM ends what runs here as Ctrl-C does: for what stops at once and keeps what it has."""
    loop, heard = asyncio.get_running_loop(), False
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
        heard = True
    try:
        yield
    finally:
        if heard:
            loop.remove_signal_handler(signal.SIGTERM)


__all__ = ("interruptible", "sigterm_as_ctrl_c")
