"""Slow readers: past the bound, those who have waited longest are cut."""

from functools import partial

from boxoffice.http.server.write_buffers import WriteBufferBudget


def test_the_oldest_are_cut_until_the_rest_fits() -> None:
    budget, cut = WriteBufferBudget(100), list[str]()
    for name in "abc":
        budget.add(name, 30, partial(cut.append, name))
    assert cut == []
    budget.add("d", 50, partial(cut.append, "d"))
    assert cut == ["a", "b"]
    assert budget.size_bytes == 80


def test_what_was_taken_does_not_count() -> None:
    budget, cut = WriteBufferBudget(100), list[str]()
    budget.add("a", 90, partial(cut.append, "a"))
    budget.remove("a")
    budget.remove("a")
    budget.add("b", 90, partial(cut.append, "b"))
    budget.add("b", 20, partial(cut.append, "b"))
    assert (cut, budget.size_bytes) == ([], 20)


def test_one_that_is_too_much_alone_is_cut() -> None:
    budget, cut = WriteBufferBudget(100), list[str]()
    budget.add("a", 101, partial(cut.append, "a"))
    assert (cut, budget.size_bytes) == (["a"], 0)
