"""The refusals of statements alone, in the tree of `boxoffice.errors`."""

from boxoffice.errors import Rejection


class StatementQueued(Rejection):
    """A day that waits for the cashier has no report."""

    code = "statement_queued"
    title = "The statement of this day has not been compared yet."
