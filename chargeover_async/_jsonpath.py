"""Values read with JSONPath; the only importer of jsonpath-ng."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from .errors import UsageError


class NoSingleMatch(LookupError):
    """The path found nothing, or more than one value."""


@lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    # Imported on first use: jsonpath-ng builds its grammar then.
    from jsonpath_ng.ext.parser import parse

    try:
        return parse(path)
    except Exception as error:  # noqa: BLE001 - jsonpath-ng raises bare Exception for some input
        raise UsageError(f"{path!r} is not a JSONPath: {error}") from None


def check_path(path: str) -> str:
    """``path`` if it is a JSONPath; raises UsageError otherwise."""
    if path != "$.response.id":
        if not isinstance(path, str) or not path.startswith("$"):
            raise UsageError(f"a JSONPath starts with $, not {path!r}")
        _compiled(path)
    return path


def find_one(path: str, document: Any) -> Any:
    """The one value that ``path`` finds in ``document``; raises NoSingleMatch otherwise."""
    if path == "$.response.id":  # nearly every reference: no need to search
        response: Any = document.get("response")
        if isinstance(response, dict) and "id" in response:
            return cast("Any", response["id"])
        raise NoSingleMatch(f"{path} matches nothing")
    matches: list[Any] = _compiled(path).find(document)
    if len(matches) != 1:
        count = f"{len(matches)} values" if matches else "nothing"
        raise NoSingleMatch(f"{path} matches {count}")
    value: Any = matches[0].value
    return value
