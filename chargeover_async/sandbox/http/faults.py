"""What may go wrong between a client and the sandbox, by script or by chance."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, Self

# kind -> what happens; those of _WITH_VALUE are written as "kind=value".
KINDS: Mapping[str, str] = {
    "429": "refused as if the quota were used up; not done",
    "500": "the API's own 500; not done",
    "500_after": "the API's own 500 although the work was done",
    "502": "an HTML page of a gateway; not done",
    "503": "an HTML page of a gateway; not done",
    "reset_before": "the connection is reset; not done",
    "reset_after": "the connection is reset; done",
    "lost": "the connection is closed without an answer; done",
    "cut": "the answer ends in the middle of what Content-Length promised; done",
    "not_json": "200 with an HTML page; done",
    "short": "the answer of a _bulk lacks its last entry; done in full",
    "long": "the answer of a _bulk has an entry too many; done",
    "entry_500": "one entry of a _bulk (entry_500=N: that at N) is a 500; it is not done",
    "delay_before": "waits so many seconds before the work (delay_before=S)",
    "delay_after": "waits so many seconds after the work (delay_after=S)",
}
METHODS = ("GET", "POST", "PUT", "DELETE")  # of the API
_MAX_REPEATED = 100_000
_VALUE_REQUIRED = frozenset(("delay_before", "delay_after"))
_VALUE_ALLOWED = _VALUE_REQUIRED | {"entry_500"}


class Fault(NamedTuple):
    """One fault to be played; ``value`` is seconds of a delay or the position of an entry."""

    kind: str
    value: float | None = None

    @property
    def text(self) -> str:
        """The fault as `parse_fault` takes it."""
        return self.kind if self.value is None else f"{self.kind}={self.value:g}"


def value_of(kind: str) -> Literal["required", "allowed"] | None:
    """Whether a fault of that kind is written with a value."""
    if kind in _VALUE_REQUIRED:
        return "required"
    return "allowed" if kind in _VALUE_ALLOWED else None


def parse_fault(text: str) -> Fault:
    """The fault that ``text`` names (see `KINDS`); raises ValueError for any other."""
    kind, separator, rest = text.partition("=")
    if kind not in KINDS:
        raise ValueError(f"unknown fault {text!r}; known are {', '.join(KINDS)}")
    if bool(separator) and kind not in _VALUE_ALLOWED:
        raise ValueError(f"the fault {kind!r} takes no value: {text!r}")
    if not separator and kind in _VALUE_REQUIRED:
        raise ValueError(f"the fault {kind!r} needs seconds, as in {kind + '=0.5'!r}")
    return Fault(kind, seconds(rest) if separator else None)


def seconds(value: float | str) -> float:
    """``value`` as a finite number from 0 up; raises ValueError for any other."""
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError(f"not a finite number from 0 up: {value!r}")
    return number


def parse_target(text: str) -> tuple[str, str]:
    """The method and the path that ``text`` asks for, ``*`` for any.

    It is a method, a path below the API's, or both: ``"POST /customer"``, ``"/_bulk"``,
    ``"GET /invoice/*"``. Case counts. Raises ValueError for anything else, and for a method that no
    request of the API has.
    """
    method, _, path = text.strip().partition(" ")
    if method.startswith("/") and not path:
        method, path = "*", method
    path = path.strip() or "*"
    if not (method == "*" or method.isupper()) or not path.startswith(("/", "*")):
        raise ValueError(f"not a method, a path or both, as in 'POST /customer': {text!r}")
    if not any(fnmatchcase(known, method) for known in METHODS):
        raise ValueError(
            f"no request has the method of {text!r}: it is one of {', '.join(METHODS)}"
        )
    return method, path


def fits(method: str, path: str, target: tuple[str, str]) -> bool:
    """Whether a request is one of those that a parsed target asks for."""
    return fnmatchcase(method, target[0]) and fnmatchcase(path, target[1])


def _repeat(text: str | None) -> list[Fault | None]:
    if text is None:
        return [None]
    kind, star, times = text.partition("*")
    if star and not (times.isascii() and times.isdigit() and 0 < int(times) <= _MAX_REPEATED):
        raise ValueError(f"not a number of times from 1 to {_MAX_REPEATED}: {text!r}")
    return [None if kind == "none" else parse_fault(kind)] * int(times or 1)


class _Aimed(NamedTuple):
    """A fault that waits for a request of its own."""

    target: tuple[str, str]
    fault: Fault


class Faults:
    """The faults of one sandbox.

    Each API request that the quota lets through draws once, in order of arrival: first what is
    aimed at it, then from the script, then by the rates. While the server is down (``maintenance``,
    `down_until`) everything is answered with 503 and nothing is drawn. The kinds are those of
    `KINDS`.
    """

    def __init__(
        self,
        rates: Mapping[str, float] | None = None,
        *,
        script: Iterable[str | None] = (),
        seed: int = 0,
        maintenance: bool = False,
    ) -> None:
        self.maintenance = maintenance
        self._aimed: list[_Aimed] = []
        self._script: deque[Fault | None] = deque()
        self._rates: list[tuple[Fault, float]] = []
        self.reseed(seed)
        self.set_rates(rates or {})
        self.script(script)

    @classmethod
    def from_text(cls, rates: Iterable[str], script: str, *, seed: int = 0) -> Self:
        """Faults as a command line has them: ``["lost:0.1"]`` and ``"429,none,lost*3"``.

        Raises ValueError for a kind that is not in `KINDS`, or a rate that is no share.
        """
        shares: dict[str, float] = {}
        for text in rates:
            kind, _, rate = text.rpartition(":")
            try:
                shares[kind] = float(rate)
            except ValueError:
                raise ValueError(f"not a fault and its rate, as in 'lost:0.1': {text!r}") from None
        kinds = [kind.strip() for kind in script.split(",") if kind.strip()]
        return cls(shares, script=kinds, seed=seed)

    @property
    def maintenance(self) -> bool:
        """Whether the server is down until this is set to False."""
        return self._down_until == math.inf

    @maintenance.setter
    def maintenance(self, is_on: bool) -> None:
        self._down_until = math.inf if is_on else -math.inf

    def down_until(self, at: float) -> None:
        """Be down until ``at``, a time of the sandbox's clock."""
        self._down_until = at

    def is_down(self, now: float) -> bool:
        """Whether a request that arrives at ``now`` finds the server down."""
        return now < self._down_until

    @property
    def rates(self) -> dict[str, float]:
        """The faults by chance, as `set_rates` takes them."""
        return {fault.text: rate for fault, rate in self._rates}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Let faults happen by chance: ``{"lost": 0.1, "delay_before=0.2": 0.05}``."""
        parsed = [(parse_fault(text), float(rate)) for text, rate in rates.items()]
        if any(not 0 <= rate <= 1 for _, rate in parsed) or sum(r for _, r in parsed) > 1 + 1e-9:
            raise ValueError(f"rates are shares from 0 to 1 and add up to at most 1: {rates!r}")
        self._rates = parsed

    def script(self, kinds: Iterable[str | None]) -> list[Fault]:
        """Add faults for the requests to come, one each, None or ``"none"`` for a sound one.

        ``"lost*3"`` stands for three of a kind. Returns what was added; see `waits`.
        """
        added = [fault for kind in kinds for fault in _repeat(kind)]
        self._script.extend(added)
        return [fault for fault in added if fault is not None]

    def next(self, *kinds: str | None) -> None:
        """Put faults before what is scripted, so that the very next requests meet them."""
        parsed = [None if kind is None else parse_fault(kind) for kind in kinds]
        self._script.extendleft(reversed(parsed))

    def aim(self, target: str, *kinds: str) -> list[Fault]:
        """Keep faults for the next requests that fit ``target``, one each.

        See `parse_target` for ``target``. Returns what was added; see `waits`.
        """
        parsed = parse_target(target)
        added = [parse_fault(kind) for kind in kinds]
        self._aimed.extend(_Aimed(parsed, fault) for fault in added)
        return added

    def waits(self, fault: Fault) -> bool:
        """Whether no request has met this very fault yet."""
        waiting = (*self._script, *(aimed.fault for aimed in self._aimed))
        return any(other is fault for other in waiting)

    def clear(self) -> None:
        """No faults from now on: none aimed, no script, no rates, no maintenance."""
        self._aimed.clear()
        self._script.clear()
        self._rates = []
        self.maintenance = False

    def reseed(self, seed: int) -> None:
        """Start the random source anew."""
        self.seed = seed
        self._random = random.Random(seed)  # noqa: S311 - chance of a test server

    @property
    def scripted(self) -> int:
        """How many entries, aimed ones included, have not been drawn yet."""
        return len(self._script) + len(self._aimed)

    def draw(self, method: str = "", path: str = "") -> Fault | None:
        """The fault that the next request meets; ``path`` is below the API's."""
        for position, aimed in enumerate(self._aimed):
            if fits(method, path, aimed.target):
                del self._aimed[position]
                return aimed.fault
        if self._script:
            return self._script.popleft()
        if not self._rates:
            return None
        point = self._random.random()
        for fault, rate in self._rates:
            point -= rate
            if point < 0:
                return fault
        return None

    def position(self, fault: Fault, count: int) -> int:
        """Which of ``count`` entries an ``entry_500`` hits."""
        if fault.value is not None:
            return int(fault.value)
        return self._random.randrange(count) if count else 0
