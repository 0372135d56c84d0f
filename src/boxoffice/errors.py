"""The tree of everything that the shop may answer instead of success.

    BoxofficeError
    ├── SettingsInvalid              a process that must not start
    ├── CannotListen                 the address is taken, or not ours
    ├── IntegrityError               a broken promise of our own code: never expected, always a bug
    └── Problem                      an answer to the caller, with a stable `code`
        ├── BadRequest               400 family: the request itself is malformed
        ├── Unauthenticated, Forbidden
        ├── NotFound                 …_not_found, also for what belongs to another person
        ├── Invalid                  422 family: well formed, and not acceptable
        ├── Rejection                the business says no (sold out, taken, no money): a correct answer
        ├── TooMany                  429
        └── Unavailable              503, with the time after which to try again

Each leaf has one `code`. The HTTP status of every code stands in `http/api/statuses.py`.
"""

from typing import ClassVar


class BoxofficeError(Exception):
    """The root of our own errors."""


class SettingsInvalid(BoxofficeError):
    """A setting is missing, unknown or out of range."""


class CannotListen(BoxofficeError):
    """The address to serve on cannot be had."""


class IntegrityError(BoxofficeError):
    """The database and the code disagree about something that cannot be."""


class Problem(BoxofficeError):
    """An answer to the caller: `code` is stable, the text is for people, `extra` for programs."""

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""

    def __init__(self, detail: str = "", /, **extra: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra


class BadRequest(Problem):
    code = "malformed"
    title = "The request is malformed."


class IdempotencyKeyRequired(BadRequest):
    code = "idempotency_key_required"
    title = "This call needs an Idempotency-Key header."


class IdempotencyKeyInvalid(BadRequest):
    code = "idempotency_key_invalid"
    title = "An Idempotency-Key is 1 to 128 visible ASCII characters."


class BodyTooLarge(BadRequest):
    code = "body_too_large"
    title = "The body is larger than this call accepts."


class BodyTooSlow(BadRequest):
    code = "body_too_slow"
    title = "The body did not arrive in time."


class MediaTypeUnsupported(BadRequest):
    code = "media_type_unsupported"
    title = "This call does not accept a body of that media type."


class MethodNotAllowed(BadRequest):
    code = "method_not_allowed"
    title = "This resource has no such method."


class LastEventIdInvalid(BadRequest):
    code = "last_event_id_invalid"
    title = "A Last-Event-ID is 1 to 128 visible ASCII characters."


class CursorInvalid(BadRequest):
    code = "cursor_invalid"
    title = "The cursor is not one that this service handed out."


class Unauthenticated(Problem):
    code = "unauthenticated"
    title = "An access token is needed."


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    title = "The access token is not valid."


class TokenExpired(Unauthenticated):
    code = "token_expired"
    title = "The access token has expired."


class QueueTicketInvalid(Unauthenticated):
    code = "queue_ticket_invalid"
    title = "The queue ticket is missing, or not one of this schedule and person."


class CredentialsInvalid(Unauthenticated):
    code = "credentials_invalid"
    title = "E-mail and password do not match."


class Forbidden(Problem):
    code = "forbidden"
    title = "This call is for another role."


class QueuePassRequired(Forbidden):
    code = "queue_pass_required"
    title = "This schedule has a waiting room: a valid Queue-Pass of this person is needed."


class NotFound(Problem):
    code = "not_found"
    title = "There is nothing at this address."


class ConcertNotFound(NotFound):
    code = "concert_not_found"
    title = "There is no such concert."


class ScheduleNotFound(NotFound):
    code = "schedule_not_found"
    title = "There is no such schedule."


class SeatNotFound(NotFound):
    code = "seat_not_found"
    title = "The schedule has no such seat."


class ReservationNotFound(NotFound):
    code = "reservation_not_found"
    title = "There is no such reservation."


class PaymentNotFound(NotFound):
    code = "payment_not_found"
    title = "There is no such payment."


class Invalid(Problem):
    code = "invalid"
    title = "The request is well formed but not acceptable."


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used with another request."


class PasswordCommon(Invalid):
    code = "password_common"
    title = "This password is among the first that others would guess; choose another one."


class AmountInvalid(Invalid):
    code = "amount_invalid"
    title = "The amount is not acceptable."


class PaymentMethodUnknown(Invalid):
    code = "payment_method_unknown"
    title = "There is no such payment method."


class SeatMapInvalid(Invalid):
    code = "seat_map_invalid"
    title = "The seat map is not acceptable."


class Rejection(Problem):
    """The business says no: a correct answer, counted apart from failures."""


class EmailTaken(Rejection):
    code = "email_taken"
    title = "There is an account with this e-mail address."


class SeatTaken(Rejection):
    code = "seat_taken"
    title = "Somebody else has at least one of these seats."


class SoldOut(Rejection):
    code = "sold_out"
    title = "There are no such seats left."


class NoAdjacentSeats(Rejection):
    code = "no_adjacent_seats"
    title = "Seats are left, but not that many side by side."


class NotOnSale(Rejection):
    code = "not_on_sale"
    title = "This schedule is not on sale."


class TicketLimit(Rejection):
    code = "ticket_limit"
    title = "This would be more tickets than one person may have."


class NotHeld(Rejection):
    code = "not_held"
    title = "This reservation is not a hold any more."


class HoldExpired(Rejection):
    code = "hold_expired"
    title = "The hold has expired."


class AlreadyPaid(Rejection):
    code = "already_paid"
    title = "This reservation is paid."


class InsufficientBalance(Rejection):
    code = "insufficient_balance"
    title = "The wallet does not hold enough."


class TopUpUnavailable(Rejection):
    code = "top_up_unavailable"
    title = "Money cannot be put into a wallet here."


class WalletLimit(Rejection):
    code = "wallet_limit"
    title = "The wallet cannot hold that much."


class PaymentDeclined(Rejection):
    code = "payment_declined"
    title = "The payment provider declined."


class AlreadyPublished(Rejection):
    code = "already_published"
    title = "The concert is published already."


class NotPublishable(Rejection):
    code = "not_publishable"
    title = "A concert needs a schedule with seats before it is published."


class SeatMapLocked(Rejection):
    code = "seat_map_locked"
    title = "The seat map is fixed once the schedule has been opened."


class SeatExists(Rejection):
    code = "seat_exists"
    title = "The schedule has this seat already."


class ScheduleNotOpenable(Rejection):
    code = "schedule_not_openable"
    title = "A schedule needs seats and a published concert before it is opened."


class ScheduleLimit(Rejection):
    code = "schedule_limit"
    title = "The concert has as many schedules as one may have."


class ConcertTakenDown(Rejection):
    code = "concert_taken_down"
    title = "An operator of the shop has taken the concert down."


class QueueClosed(Rejection):
    code = "queue_closed"
    title = "Nobody can join this waiting room."


class QueueDrawn(Rejection):
    code = "queue_drawn"
    title = "The order of this waiting room is settled already."


class QueueRoomLimit(Rejection):
    code = "queue_room_limit"
    title = "The organizer has as many waiting rooms open as one may have."


class QueueTicketExpired(Rejection):
    code = "queue_ticket_expired"
    title = "This queue ticket has had its turn, or is out of date; join again."


class IdempotencyInFlight(Rejection):
    code = "idempotency_in_flight"
    title = (
        "A request with this Idempotency-Key is still being decided; ask again with the same key."
    )


class TooMany(Problem):
    code = "too_many_requests"
    title = "Too many requests; try again later."


class HoldCooldown(TooMany):
    code = "hold_cooldown"
    title = "You let several holds end without paying; wait before the next one."


class Unavailable(Problem):
    """Nothing was promised; try again after `retry_after_s` with the same Idempotency-Key."""

    code = "unavailable"
    title = "The service cannot decide this now; try again."

    def __init__(self, detail: str = "", /, *, retry_after_s: int = 1, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    code = "overloaded"
    title = "More requests are waiting than can be served in time; try again."


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    title = "The answer of the database was lost; ask again with the same Idempotency-Key."


class Draining(Unavailable):
    code = "draining"
    title = "This process is shutting down; try again."
