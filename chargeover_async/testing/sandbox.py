"""A sandbox for the tests of a service: trouble to order, and questions about what it received."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Literal, Self

from chargeover_async.client import ChargeOver
from chargeover_async.limits import LocalLimiter, NoLimit, Permit, QuotaSettings
from chargeover_async.retry import RetryPolicy
from chargeover_async.sandbox import Fault, Sandbox
from chargeover_async.sandbox.http.faults import parse_target

from .received import Received, covers, list_lines, read_calls

Status = Literal[429, 500, 502, 503]


class TestSandbox(Sandbox):
    """A `Sandbox` that keeps what it was sent, plays faults by name and answers a test's questions.

    It takes the arguments of `Sandbox`. Its quota and its account's time follow the event loop's
    clock, so that `fake_clock` moves them, too.

    Faults meet the next requests to come, or with ``on`` the next that fit: ``"POST /customer"``,
    ``"/_bulk"``, ``"GET /invoice/*"``. What travels in a ``_bulk`` has the request ``POST /_bulk``.

    A client may repeat a request that met a fault, so order as many as shall be met. At the end of
    a block that went well an order that no request has met is an AssertionError
    (`assert_faults_met`). Assertions raise AssertionError and list what arrived, without any
    payload. A target that no request can fit, ``"PSOT /customer"`` or ``"/custmer"``, is a
    ValueError.
    """

    __test__ = False  # the name is no invitation to collect it

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        now: Callable[[], dt.datetime] | None = None,
        keep_bodies: bool = True,
        **options: Any,
    ) -> None:
        self._began: tuple[dt.datetime, float] | None = None
        self._orders: list[tuple[str, list[Fault]]] = []
        super().__init__(
            clock=clock or _loop_time,
            now=now or self._account_time,
            keep_bodies=keep_bodies,
            **options,
        )

    def _account_time(self) -> dt.datetime:
        """The time of day when first asked, moved on by the loop's clock."""
        try:
            elapsed = _loop_time()
        except RuntimeError:  # outside of a loop: seeding before the start
            return dt.datetime.now(dt.UTC)
        if self._began is None:
            self._began = dt.datetime.now(dt.UTC), elapsed
        return self._began[0] + dt.timedelta(seconds=elapsed - self._began[1])

    @property
    def environ(self) -> dict[str, str]:
        """The variables of `ChargeOver.from_env`, for a service that reads its environment."""
        return {
            "CHARGEOVER_URL": self.url,
            "CHARGEOVER_USERNAME": self.username,
            "CHARGEOVER_PASSWORD": self.password,
        }

    def client(self, **options: Any) -> ChargeOver:
        """A new client of this account; ``options`` are those of `ChargeOver`.

        It keeps to the sandbox's quota unless ``quota`` or ``limiter`` say otherwise. Trouble that
        was ordered costs next to no time, without a fake clock, too: it does not pause for a 429
        that was played (`refuse`), and its ``retry`` begins with waits of 10 ms instead of 500.
        """
        if not options.keys() & {"quota", "limiter"}:
            limit = self.quota
            if limit.kind is None:
                options["limiter"] = NoLimit()
            else:
                options["limiter"] = _Limiter(self, QuotaSettings(limit.limit, limit.window_s))
        options.setdefault("retry", RetryPolicy(base_s=0.01))
        return ChargeOver(self.url, self.username, self.password, **options)

    # Trouble.

    def lose_answer(self, on: str | None = None, *, times: int = 1) -> Self:
        """The work is done and the answer never arrives; the connection is closed."""
        return self.play("lost", on, times=times)

    def drop(self, on: str | None = None, *, times: int = 1) -> Self:
        """The connection is reset before any work is done."""
        return self.play("reset_before", on, times=times)

    def refuse(self, on: str | None = None, *, times: int = 1) -> Self:
        """Answered with 429, as if the quota were used up; nothing is done."""
        return self.play("429", on, times=times)

    def fail(self, on: str | None = None, *, times: int = 1, status: Status = 500) -> Self:
        """Answered with ``status``, nothing done; 502 and 503 are a gateway's HTML page."""
        return self.play(str(status), on, times=times)

    def cut_answer(self, on: str | None = None, *, times: int = 1) -> Self:
        """The work is done and the answer breaks off in the middle."""
        return self.play("cut", on, times=times)

    def delay(self, seconds: float, on: str | None = None, *, times: int = 1) -> Self:
        """Answered ``seconds`` late; the work is done when the wait is over."""
        return self.play(f"delay_before={seconds:g}", on, times=times)

    def play(self, kind: str, on: str | None = None, *, times: int = 1) -> Self:
        """Any fault by its name (`chargeover_async.sandbox.Faults`), such as ``"entry_500=2"``.

        Raises ValueError for an unknown kind and for an ``on`` that no request can fit.
        """
        if times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        if on is None:
            added = self.faults.script([kind] * times)
        else:
            self._check(on)
            added = self.faults.aim(on, *[kind] * times)
        self._orders.append((kind if on is None else f"{kind} for {on!r}", added))
        return self

    @contextmanager
    def down(self) -> Generator[None]:
        """Everything is answered with 503 inside the block."""
        self.faults.maintenance = True
        try:
            yield
        finally:
            self.faults.maintenance = False

    def down_for(self, seconds: float) -> Self:
        """Everything is answered with 503 for so many seconds of the sandbox's clock."""
        self.faults.down_until(self._clock() + seconds)
        return self

    # Questions.

    def assert_faults_met(self) -> None:
        """Every order of a fault was met by some request at least.

        `faults` has a ``clear`` for what is not wanted any more.
        """
        unmet = [text for text, added in self._orders if all(map(self.faults.waits, added))]
        if unmet:
            raise AssertionError(
                f"faults that were ordered and never met:\n{list_lines(unmet)}\n"
                f"The sandbox received:\n{list_lines(self.calls)}"
            )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening; after a block that went well, no order of a fault may be left over."""
        await super().__aexit__(exc_type, exc, traceback)
        if exc_type is None:
            self.assert_faults_met()

    def _check(self, target: str) -> None:
        """Raise ValueError for a target that no request can fit."""
        _, path = parse_target(target)
        name = path.removeprefix("/").partition("/")[0].partition("?")[0]
        known = [name for name, spec in self.store.specs.items() if not spec.internal]
        known += ["_bulk", "teapot"]
        if not any(fnmatchcase(other, name or "*") for other in known):
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no request can fit {target!r}: there is no object {name!r}{hint}")

    @property
    def calls(self) -> list[Received]:
        """What was asked for, in order: direct calls, and each of those inside a ``_bulk``.

        A ``_bulk`` that was not worked on (429, 503 and so on) stands for itself, as one call.
        """
        return list(read_calls(self.log))

    @property
    def bulks(self) -> list[list[Received]]:
        """The calls of each ``_bulk`` that was worked on."""
        groups: dict[int, list[Received]] = {}
        for call in self.calls:
            if call.in_bulk:
                groups.setdefault(call.request, []).append(call)
        return list(groups.values())

    def received(self, target: str, /, **fields: Any) -> list[Received]:
        """The calls that fit ``target`` and, by value, some fields of their payload."""
        self._check(target)
        return [call for call in self.calls if call.fits(target, fields)]

    def assert_received(
        self, target: str, /, *, times: int | None = None, **fields: Any
    ) -> list[Received]:
        """What `received` finds; it must be something, or exactly ``times``."""
        found = self.received(target, **fields)
        if not found if times is None else len(found) != times:
            wanted = "at least once" if times is None else _times(times)
            raise AssertionError(
                f"{_describe(target, fields)} should have arrived {wanted}, but did"
                f" {_times(len(found))}. The sandbox received:\n{list_lines(self.calls)}"
            )
        return found

    def assert_not_received(self, target: str = "*", /, **fields: Any) -> None:
        """Nothing arrived that fits; without arguments, nothing at all."""
        self.assert_received(target, times=0, **fields)

    def records(self, object_: str, /, **fields: Any) -> list[dict[str, Any]]:
        """The records of an object that have these fields; shown as a GET of one would."""
        return [record for record in self.store.records(object_) if covers(record, fields)]

    def assert_created_once(self, object_: str, /, **fields: Any) -> dict[str, Any]:
        """There is one record with these fields, no more and no less; returns it.

        However often it was sent: this is the question after a lost answer.
        """
        if not fields:
            raise ValueError("say by which fields the record is known")
        found = self.records(object_, **fields)
        if len(found) != 1:
            key = self.store.specs[object_].key
            ids = ", ".join(str(record[key]) for record in found) or "none"
            raise AssertionError(
                f"there should be one {object_} with {_show(fields)}, but there are {len(found)}"
                f" ({key}: {ids}). Its creates:\n{list_lines(self.received(f'POST /{object_}'))}"
            )
        return found[0]

    def assert_each_created_once(self, object_: str, field: str, values: Iterable[Any]) -> None:
        """There is one record for each of ``values`` in ``field``, and no record beside them."""
        wanted = Counter(str(value) for value in values)
        found = Counter(str(record.get(field)) for record in self.store.records(object_))
        problems = [
            f"{value!r}: {found[value]} in place of {wanted[value]}"
            for value in sorted(wanted | found)
            if wanted[value] != found[value]
        ]
        if problems:
            raise AssertionError(
                f"the {field} of every {object_} should be as given:\n{list_lines(problems)}"
            )

    def assert_within_quota(self) -> None:
        """No request was answered with 429."""
        refused = [entry for entry in self.log if entry.status == 429]
        if refused:
            raise AssertionError(
                f"{len(refused)} of {len(self.log)} requests were answered with 429:\n"
                + list_lines(
                    f"{entry.method} {entry.path} at {entry.at:.3f} s" for entry in refused
                )
            )


class _Limiter(LocalLimiter):
    """The sandbox's quota; a 429 that was ordered says nothing of it."""

    __slots__ = ("_sandbox",)

    def __init__(self, sandbox: Sandbox, settings: QuotaSettings) -> None:
        super().__init__(settings)
        self._sandbox = sandbox

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        """Pause, unless the latest 429 was played."""
        for entry in reversed(self._sandbox.log):
            if entry.status == 429:
                if entry.fault is None:
                    super().throttled(retry_after_s, permit=permit)
                return


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _describe(target: str, fields: dict[str, Any]) -> str:
    return target + (f" with {_show(fields)}" if fields else "")


def _show(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in fields.items())


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
