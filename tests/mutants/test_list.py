"""The list of mutants is not stale: each fault can be put where it says."""

from __future__ import annotations

import pytest
from mutants.run import PACKAGE, Mutant, apply, read_mutants
from support.places import ROOT


@pytest.mark.parametrize("mutant", read_mutants(), ids=lambda mutant: mutant.name)
def test_each_fault_can_be_put_where_it_says(mutant: Mutant) -> None:
    """Its lines stand in the module once, and the tests that should notice are there."""
    source = (ROOT / PACKAGE / f"{mutant.module}.py").read_text("utf-8")
    assert apply(mutant, source) != source
    assert [name for name in mutant.tests if not (ROOT / name).exists()] == []


def test_a_stale_one_is_refused() -> None:
    """Nothing is tried with lines that are not there."""
    with pytest.raises(ValueError, match="found 0 times"):
        apply(Mutant("x", "retry", "not there", "y", []), "text")
