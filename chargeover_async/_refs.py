"""A reference to a value in another operation's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .operation import Operation

DEFAULT_PATH = "$.response.id"


class Ref:
    """Stands for a value that another operation's answer will hold; made by `Operation.ref`.

    ``path`` is a JSONPath, evaluated on the whole envelope of the target's answer, so that
    ``$.response.id`` is the id of what it created (vendor's text, "JSONPath in Batches").
    """

    __slots__ = ("path", "target")

    def __init__(self, target: Operation[Any], path: str = DEFAULT_PATH) -> None:
        self.target = target
        self.path = path

    def __repr__(self) -> str:
        return f"<Ref {self.path} of {self.target.label}>"
