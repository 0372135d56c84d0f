"""Slow readers: past the bound, those who have waited longest are cut."""

from functools import partial

from boxoffice.http.server.write_buffers import Unsent


def test_the_oldest_are_cut_until_the_rest_fits() -> None:
    unsent, cut = Unsent(100), list[str]()
    for name in "abc":
        unsent.add(name, 30, partial(cut.append, name))
    assert cut == []
    unsent.add("d", 50, partial(cut.append, "d"))
    assert cut == ["a", "b"]
    assert unsent.size_bytes == 80


def test_what_was_taken_does_not_count() -> None:
    unsent, cut = Unsent(100), list[str]()
    unsent.add("a", 90, partial(cut.append, "a"))
    unsent.remove("a")
    unsent.remove("a")
    unsent.add("b", 90, partial(cut.append, "b"))
    unsent.add("b", 20, partial(cut.append, "b"))
    assert (cut, unsent.size_bytes) == ([], 20)


def test_one_that_is_too_much_alone_is_cut() -> None:
    unsent, cut = Unsent(100), list[str]()
    unsent.add("a", 101, partial(cut.append, "a"))
    assert (cut, unsent.size_bytes) == (["a"], 0)
