"""Imports without the search for garbage."""

import gc
import sys

import pytest

from combgrad.guards.collecting import no_collecting


@pytest.fixture(autouse=True)
def on_afterwards():
    yield
    gc.enable()


def test_nothing_is_looked_for_within_and_the_imported_is_left_alone_after(tmp_path, monkeypatch):
    (tmp_path / "made_for_this_test.py").write_text("things = [[] for _ in range(5000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = gc.get_freeze_count()
    with no_collecting():
        assert not gc.isenabled()
        import made_for_this_test
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 5000
    assert not {id(it) for it in made_for_this_test.things} & set(map(id, gc.get_objects()))
    del sys.modules["made_for_this_test"]


def test_nothing_is_frozen_where_nothing_was_imported():
    before = gc.get_freeze_count()
    with no_collecting():
        made = [[] for _ in range(5000)]
    assert gc.get_freeze_count() <= before
    assert len(made) == 5000


def test_an_error_within_leaves_the_search_on():
    with pytest.raises(ModuleNotFoundError), no_collecting():
        import no_such_module_anywhere  # noqa: F401
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off():
    gc.disable()
    with no_collecting():
        assert not gc.isenabled()
    assert not gc.isenabled()
