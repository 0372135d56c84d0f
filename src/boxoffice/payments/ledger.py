"""The pure rules of money: integers of minor units, and accounts between which they move.

A transfer has entries that sum to zero; an entry says how much went into its account (negative: out
of it). The entries are made in `functions.sql`, beside the decision that they record.
"""

from enum import StrEnum

from boxoffice.errors import AmountInvalid

# JSON numbers are exact up to this one in every client (RFC 8259, section 6).
AMOUNT_MAX = 2**53 - 1


class Account(StrEnum):
    """Where money can be."""

    WALLET = "wallet"  # a person's prepaid balance
    INCOME = (
        "income"  # what the house earned, by schedule; a sum of entries, never a stored balance
    )
    CASH = "cash"  # the world outside: what was paid in


def check_top_up(amount_minor: int, top_up_max_minor: int) -> None:
    """Raise `AmountInvalid` unless the amount is positive and within one top-up's limit."""
    if amount_minor <= 0:
        raise AmountInvalid("The amount must be above zero.")
    if amount_minor > top_up_max_minor:
        raise AmountInvalid(
            f"At most {top_up_max_minor} can be added at once.", amount_max=top_up_max_minor
        )
