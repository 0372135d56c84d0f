"""The rules of money: amounts are integers of minor units, and move between accounts. Pure.

A transfer has entries that sum to zero; an entry is the amount that went into its account (negative:
out of it). `functions.sql` writes the entries in the transaction of the decision.
"""

from enum import StrEnum

from boxoffice.errors import AmountInvalid

# JSON numbers are exact up to this value in every client (RFC 8259, section 6).
AMOUNT_MAX = 2**53 - 1


class Account(StrEnum):
    """The accounts of the ledger."""

    WALLET = "wallet"  # a person's prepaid balance
    INCOME = "income"  # revenue by schedule; a sum of entries, never a stored balance
    CASH = "cash"  # money from outside


def check_top_up(amount_minor: int, top_up_max_minor: int) -> None:
    """Raise `AmountInvalid` unless the amount is positive and within one top-up's limit."""
    if amount_minor <= 0:
        raise AmountInvalid("The amount must be above zero.")
    if amount_minor > top_up_max_minor:
        raise AmountInvalid(
            f"At most {top_up_max_minor} can be added at once.", amount_max=top_up_max_minor
        )
