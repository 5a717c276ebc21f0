"""What goes out for one operation or a batch of them, and what the answer says of each: pure.

A result is certain, or it is *no verdict yet*: the operation did not run, and goes out once more
without using up one of its tries.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from chargeover_async._refs import REF_IN_PATH, with_values
from chargeover_async._send.result import Result, result_of
from chargeover_async._wire.bulk import PATH, decode_entries, encode_batch, encode_item
from chargeover_async._wire.envelope import Answer, NoAnswer, Reply, entry_fault, is_taken_key
from chargeover_async._wire.request import API_PATH, Request, query_string, segment
from chargeover_async.errors import UsageError
from chargeover_async.models._json.read import encode
from chargeover_async.operation import Operation
from chargeover_async.retry import Fault, Repeat

from .entry import Entry
from .settings import ServerAssumptions

REF_BYTES = 96  # what the name and path of a reference take more than the number put for it
NAME_BYTES = 32  # the comma before an item and the name that references call it, rounded up


def measure(entry: Entry, assumptions: ServerAssumptions) -> None:
    """Encode what can be encoded now, and note the size and whether a batch may hold it.

    Raises UsageError for what cannot be written as JSON. A value of a reference counts as a
    number here; longer ones are rare, and an answer of 413 splits the batch.
    """
    operation = entry.operation
    payload = operation.payload
    if operation.refs:
        payload = with_values(payload, [(path, 2**53) for path, _ in operation.refs])
    try:
        encoded = None if payload is None else encode(payload)
    except Exception as error:  # noqa: BLE001 - a payload holds what it likes
        raise UsageError(f"{operation.label} cannot be written as JSON: {error}") from None
    item = encode_item(operation.method, _uri(operation.path, operation), encoded)
    entry.size = len(item) + NAME_BYTES
    if operation.refs:
        entry.size += REF_BYTES * len(operation.refs)
    elif operation.path_ref is None:
        entry.item = item
    if _alone(operation, assumptions):
        entry.alone = True


def _alone(operation: Operation[Any], assumptions: ServerAssumptions) -> bool:
    if operation.method == "DELETE" and not assumptions.deletes:
        return True
    if not assumptions.actions and "/_action/" in operation.path:
        return True
    return bool(operation.query) and not all(
        assumptions.actions if name == "action" else assumptions.queries
        for name, _ in operation.query
    )


def request_of(batch: list[Entry]) -> Request:
    """One operation to its own endpoint, several as ``_bulk``."""
    if len(batch) == 1:
        operation = batch[0].operation
        path, payload = _path_and_payload(batch[0])
        body = None if payload is None else encode(payload)
        return Request(operation.method, path, operation.query, body)
    names = {
        ref.target.entry for entry in batch if entry.operation.refs for _, ref in entry.open_refs()
    }
    items = [
        entry.item if entry.item is not None and entry not in names else _item(entry, names)
        for entry in batch
    ]
    return Request("POST", PATH, (), encode_batch(items))


def unwritable(batch: list[Entry]) -> set[Entry]:
    """What keeps a batch from being written: those that cannot be written by themselves either."""
    found = set[Entry]()
    for entry in batch:
        try:
            request_of([entry])
        except Exception:  # noqa: BLE001 - a payload holds what it likes
            found.add(entry)
    return found


def _item(entry: Entry, names: set[Entry]) -> bytes:
    """One item of a batch; the names sent are the engine's own, so callers may choose alike."""
    operation = entry.operation
    name = f"op{entry.seq}" if entry in names else None
    path, payload = _path_and_payload(entry)
    told = {key: f"op{ref.target.entry.seq}:{ref.path}" for (key, *_), ref in entry.open_refs()}
    if told:
        payload = {
            jsonpath_key(key) if key in told else key: told.get(key, value)
            for key, value in payload.items()
        }
    encoded = None if payload is None else encode(payload)
    return encode_item(operation.method, _uri(path, operation), encoded, name)


def _path_and_payload(entry: Entry) -> tuple[str, Any]:
    operation = entry.operation
    path = operation.path
    if operation.path_ref is not None:
        path = path.replace(REF_IN_PATH, segment(entry.path_value))
    return path, entry.payload


def _uri(path: str, operation: Operation[Any]) -> str:
    return API_PATH + path + (query_string(operation.query) if operation.query else "")


def jsonpath_key(name: str) -> str:
    """``customer_jsonpath`` for ``customer_id``."""
    return name.removesuffix("_id") + "_jsonpath"


# -- what came back ----------------------------------------------------------------------------


class NoVerdict(enum.Enum):
    """Why an operation goes out once more although it was answered."""

    SPLIT = "the batch was refused as a whole"
    SUSPECT = "it was refused behind a failed one, and perhaps because of it"
    NOT_RUN = "it stood behind a failed one, where this account runs nothing"


class BatchAnswer(msgspec.Struct):
    """What an answer says of each operation, in order, and of the server."""

    results: list[tuple[Result, NoVerdict | None]]
    goes_on: bool = False  # the server is seen to run what is behind a failed item
    halves: bool = False  # one of them may be too much: what goes on does so by halves
    throttled: bool = False  # an entry says 429


def read_batch(
    batch: list[Entry],
    answer: Answer | NoAnswer,
    retry_after: float | None,
    assumptions: ServerAssumptions,
    *,
    goes_on: bool,
) -> BatchAnswer:
    """Read the answer to ``batch``; ``goes_on`` says what is known of the server so far."""
    whole = result_of(answer, retry_after)
    if len(batch) == 1:
        return BatchAnswer([(whole, None)])
    if whole.fault is not None:
        # 400 and 413 for the whole: nothing was done, and perhaps only one of them is to blame.
        split = whole.fault is Fault.REFUSED and whole.status in {400, 413}
        # A proxy that finds it too large says so in words of its own: halves may pass.
        too_large = (
            whole.fault is Fault.LOST and isinstance(answer, Answer) and answer.status == 413
        )
        results = [(whole, NoVerdict.SPLIT if split else None)] * len(batch)
        return BatchAnswer(results, halves=too_large)
    assert whole.reply is not None
    replies = decode_entries(whole.reply.response)
    if replies is not None and len(replies) == len(batch):
        return _entries(batch, replies, assumptions, goes_on)
    if replies and assumptions.later_items == "not_run" and len(replies) < len(batch):
        last = replies[-1]
        if last is not None and not last.ok:  # as the account is said to behave
            reading = _entries(batch[: len(replies)], replies, assumptions, goes_on)
            missing = Result(Fault.LOST, reason="the answer ends before it, at a failed one")
            rest = len(batch) - len(replies)
            reading.results += [(missing, NoVerdict.NOT_RUN)] * rest
            return reading
    count = "no" if replies is None else str(len(replies))
    lost = Result(Fault.LOST, reason=f"an answer with {count} entries for {len(batch)} operations")
    return BatchAnswer([(lost, None)] * len(batch), halves=True)


def _entries(
    batch: list[Entry], replies: list[Reply | None], assumptions: ServerAssumptions, goes_on: bool
) -> BatchAnswer:
    results = [_result(reply) for reply in replies]
    if all(result.fault is None for result in results):  # as nearly always
        return BatchAnswer([(result, None) for result in results], goes_on=goes_on)
    last, behind_refusal = _find_run(batch, results)
    reading = BatchAnswer([], goes_on=goes_on or behind_refusal)
    failed = False
    for place, (entry, result) in enumerate(zip(batch, results, strict=True)):
        fault, verdict = result.fault, None
        if fault is Fault.REFUSED and failed and place > last and not reading.goes_on:
            if assumptions.later_items == "not_run":
                verdict = NoVerdict.NOT_RUN
            elif not entry.suspect:
                verdict = NoVerdict.SUSPECT
        reading.throttled = reading.throttled or fault is Fault.THROTTLED
        failed = failed or fault is not None
        reading.results.append((result, verdict))
    return reading


def _result(reply: Reply | None) -> Result:
    if reply is None:
        return Result(Fault.LOST, reason="an entry that is not the API's")
    return Result(None if reply.ok else entry_fault(reply), reply, reply.code)


def _find_run(batch: list[Entry], results: list[Result]) -> tuple[int, bool]:
    """The last place that was surely run, and whether such a one stands behind a plain refusal.

    What stands before it was run, too. Only what stands behind a plain refusal shows that refusals
    stop nothing.
    """
    last, behind_refusal, refused = -1, False, False
    keys = Counter(entry.operation.key for entry in batch)
    failures: set[tuple[int, str]] = set()
    for place, (entry, result) in enumerate(zip(batch, results, strict=True)):
        if result.fault is None or _is_its_own(entry, result, keys, failures):
            last, behind_refusal = place, behind_refusal or refused
        if result.fault is not None:
            refused = refused or result.fault is Fault.REFUSED
            failures.add((result.status, result.story))
    return last, behind_refusal


def _is_its_own(
    entry: Entry,
    result: Result,
    keys: Mapping[str | None, int],
    failures: Collection[tuple[int, str]],
) -> bool:
    """Whether a refusal can only be the answer to this one, so that it was run.

    That is "already exists" with its own key, which no other in the batch has, or a 404 to a
    question for its key where nothing before it has failed in these words: an answer that is given
    to whatever stands behind a failed one would have neither.
    """
    operation, reply = entry.operation, result.reply
    if result.fault is not Fault.REFUSED or reply is None or not reply.message:
        return False
    if operation.key is not None:
        named = reply.message.partition('"')[2].rpartition('"')[0]
        return is_taken_key(reply.message) and named == operation.key and keys[named] == 1
    return (
        result.status == 404
        and operation.repeat is Repeat.READ
        and "/external_key:" in operation.path
        and bool(failures)
        and (result.status, result.story) not in failures
    )


__all__ = (
    "BatchAnswer",
    "NoVerdict",
    "jsonpath_key",
    "measure",
    "read_batch",
    "request_of",
    "unwritable",
)
