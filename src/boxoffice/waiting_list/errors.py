"""The refusals of waiting lists."""

from boxoffice.errors import NotFound, Rejection


class EntryNotFound(NotFound):
    """No entry of a waiting list, or that of another person."""

    code = "waiting_list_entry_not_found"
    title = "There is no such entry of a waiting list."


class WaitingListOff(Rejection):
    code = "waiting_list_off"
    title = "This schedule has no waiting list."


class AlreadyWaiting(Rejection):
    code = "already_waiting"
    title = "This person is on the waiting list, or has an offer of it."


class SeatsAvailable(Rejection):
    code = "seats_available"
    title = "Such seats are on sale now."


class OfferMade(Rejection):
    """The entry has an offer, whose hold can be released."""

    code = "offer_made"
    title = "The waiting list has made an offer: pay its hold, or release it."
