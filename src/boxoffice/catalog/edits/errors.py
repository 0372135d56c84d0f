"""What refuses a change of a concert or a schedule."""

from boxoffice.errors import Rejection


class NotEditable(Rejection):
    code = "not_editable"
    title = "This cannot be changed any more."


class ScheduleSold(Rejection):
    code = "schedule_sold"
    title = "Seats are held or sold for this date; postpone the performance instead."


class NotDeletable(Rejection):
    code = "not_deletable"
    title = "What was shown to buyers is not deleted; cancel it instead."


class NotUnpublishable(Rejection):
    code = "not_unpublishable"
    title = "Seats are on sale, or were held or sold."


class ScheduleCancelled(Rejection):
    code = "schedule_cancelled"
    title = "The performance is cancelled."
