"""The refusals of this module."""

from boxoffice.errors import NotFound, Rejection


class IssueNotFound(NotFound):
    code = "issue_not_found"
    title = "There are no such issued tickets."


class PriceChanged(Rejection):
    """`amount` is the price now."""

    code = "price_changed"
    title = "The price of these seats has changed."
