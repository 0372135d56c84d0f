"""What each kind of caller gets from an operation."""

from typing import NamedTuple

from boxoffice.http.api.statuses import STATUSES

from .client import Answer, expect


class Rule(NamedTuple):
    """What each caller gets: the status of a success, or the code of a refusal.

    `buyer` and `organizer` own what is asked for, `other` and `stranger` are another buyer and another
    organizer, `operator` runs the shop. `is_open` operations read no token. A member without one of the
    `roles` is refused as `forbidden`.
    """

    buyer: int | str
    other: int | str
    organizer: int | str
    stranger: int | str
    operator: int | str
    is_open: bool = False
    # The roles in the organizer's organization that get what the organizer, its owner, gets.
    roles: frozenset[str] = frozenset()

    @property
    def callers(self) -> dict[str, int | str]:
        """What each kind of person gets."""
        named = self._asdict()
        return {
            name: named[name] for name in ("buyer", "other", "organizer", "stranger", "operator")
        }

    @property
    def is_for_organizers(self) -> bool:
        """Whether a role is asked for."""
        return self.buyer == "forbidden"


def everybody(answer: int | str) -> Rule:
    """Return the rule of an operation that treats all alike and asks for no token."""
    return Rule(answer, answer, answer, answer, answer, is_open=True)


def anybody(answer: int | str) -> Rule:
    """Return the rule of an operation that all may call who have a token."""
    return Rule(answer, answer, answer, answer, answer)


def owned(owner: int | str, others: str) -> Rule:
    """Return the rule of an operation about what the buyer owns."""
    return Rule(owner, others, others, others, others)


MEMBER_ROLES = ("manager", "box_office", "door", "read_only")


def sellers(
    owner: int | str,
    stranger: int | str,
    operator: int | str = "forbidden",
    roles: str = "manager",
) -> Rule:
    """Return the rule of an operation for organizers, which changes something unless said otherwise."""
    named = frozenset(roles.split())
    return Rule("forbidden", "forbidden", owner, stranger, operator, roles=named)


def looked_at(stranger: int | str = 200, roles: str = "manager box_office door read_only") -> Rule:
    """Return the rule of a look at what an organizer has, which an operator may have too."""
    return sellers(200, stranger, 200, roles)


def operators(answer: int | str) -> Rule:
    """Return the rule of an operation that is about the whole shop."""
    return Rule("forbidden", "forbidden", "forbidden", "forbidden", answer)


def check(answer: Answer, wanted: int | str, what: object) -> None:
    """Check that an answer is a success of this status, or the refusal with this code."""
    status, code = (wanted, "") if isinstance(wanted, int) else (STATUSES[wanted], wanted)
    assert (answer.status, answer.code) == (status, code), (what, answer)
    if code:
        expect(answer, status, code)


def unauthenticated(answer: Answer, code: str, what: object) -> None:
    """Check that an answer is a 401 that says how to do better (RFC 9110, section 11.6.1)."""
    check(answer, code, what)
    assert answer.status == 401, what
    assert answer.headers["www-authenticate"].startswith("Bearer"), what
