"""The mutants of `make mutants` still apply to today's source and name tests that exist; running them takes minutes."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT
from tests.torture.mutations import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_applies(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    mutated = mutant.mutate(source)
    assert mutated != source
    ast.parse(mutated)


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len(MUTANTS) >= 12
    assert len({mutant.name for mutant in MUTANTS}) == len({(each.file, each.text, each.instead) for each in MUTANTS})
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_their_tests_exist() -> None:
    for test in {test for mutant in MUTANTS for test in mutant.tests}:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="make it anew"):
        Mutant("gone", "core/scorer.py", "no such text", "", ()).mutate("source")
