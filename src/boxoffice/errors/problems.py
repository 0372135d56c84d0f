"""The roots of the tree, and every problem that is no `NotFound`."""

from typing import ClassVar


class BoxofficeError(Exception):
    """The base class of our errors."""


class SettingsInvalid(BoxofficeError):
    """A setting is missing, unknown or out of range."""


class CannotListen(BoxofficeError):
    """The process cannot listen on its address."""


class IntegrityError(BoxofficeError):
    """An invariant between the database and the code does not hold."""


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

    def __init__(self, detail: str = "", /, *, allow: str = "", **extra: object) -> None:
        super().__init__(detail, **extra)
        self.allow = allow


class NoticeRefused(BadRequest):
    code = "notice_refused"
    title = "The payment provider did not send this, or sent it too long ago."


class LastEventIdInvalid(BadRequest):
    code = "last_event_id_invalid"
    title = "A Last-Event-ID is 1 to 128 visible ASCII characters."


class CursorInvalid(BadRequest):
    code = "cursor_invalid"
    title = "The cursor was not issued by this service."


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
    title = "The queue ticket is missing, or not valid for this schedule and person."


class CredentialsInvalid(Unauthenticated):
    code = "credentials_invalid"
    title = "E-mail and password do not match."


class Forbidden(Problem):
    code = "forbidden"
    title = "This call is for another role."


class QueuePassRequired(Forbidden):
    code = "queue_pass_required"
    title = "This schedule has a waiting room: a valid Queue-Pass of this person is needed."


class QueueAccountRequired(Forbidden):
    code = "queue_account_required"
    title = "It is the turn of this queue ticket: log in or sign up to be admitted."


class NotFound(Problem):
    code = "not_found"
    title = "There is nothing at this path."


class Invalid(Problem):
    code = "invalid"
    title = "The request is well formed but not acceptable."


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used with another request."


class PasswordCommon(Invalid):
    code = "password_common"
    title = "This password is too common; choose another one."


class AmountInvalid(Invalid):
    code = "amount_invalid"
    title = "The amount is not acceptable."


class AmountMismatch(Invalid):
    code = "amount_mismatch"
    title = "Amount, currency or order differ from the payment intent."


class PaymentMethodUnknown(Invalid):
    code = "payment_method_unknown"
    title = "There is no such payment method."


class RefundPolicyInvalid(Invalid):
    code = "refund_policy_invalid"
    title = "The refund policy is not acceptable."


class SeatMapInvalid(Invalid):
    code = "seat_map_invalid"
    title = "The seat map is not acceptable."


class PosterInvalid(Invalid):
    code = "poster_invalid"
    title = "The poster must be a still picture: JPEG, PNG or WebP, from 320 pixels a side."


class WebhookUrlInvalid(Invalid):
    code = "webhook_url_invalid"
    title = "No webhook is sent to this address."


class Rejection(Problem):
    """A business rule refuses the request: a correct answer, not a failure."""


class EmailTaken(Rejection):
    code = "email_taken"
    title = "There is an account with this e-mail address."


class SeatTaken(Rejection):
    code = "seat_taken"
    title = "At least one of these seats is taken."


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
    title = "The ticket limit per person would be exceeded."


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
    title = "The wallet's balance is insufficient."


class TopUpUnavailable(Rejection):
    code = "top_up_unavailable"
    title = "Wallets cannot be topped up here."


class WalletLimit(Rejection):
    code = "wallet_limit"
    title = "The wallet's balance limit would be exceeded."


class PaymentDeclined(Rejection):
    code = "payment_declined"
    title = "The payment provider declined."


class NotRefundable(Rejection):
    code = "not_refundable"
    title = "These tickets cannot be refunded any more."


class AlreadyRefunded(Rejection):
    code = "already_refunded"
    title = "At least one of these tickets is refunded."


class RefundQuoteChanged(Rejection):
    code = "refund_quote_changed"
    title = "The refund is not what was expected."


class RefundPolicyLocked(Rejection):
    code = "refund_policy_locked"
    title = "The refund policy is fixed once the schedule has been opened."


class RefundNotManual(Rejection):
    code = "refund_not_manual"
    title = "This refund does not wait for an operator."


class RefundJobRunning(Rejection):
    code = "refund_job_running"
    title = "The schedule is being refunded already."


class DisputeClosed(Rejection):
    code = "dispute_closed"
    title = "This dispute has ended."


class FindingResolved(Rejection):
    code = "finding_resolved"
    title = "This finding is resolved."


class SaleOpen(Rejection):
    code = "sale_open"
    title = "The schedule is on sale; close it first."


class PaymentInProgress(Rejection):
    code = "payment_in_progress"
    title = "This reservation is being paid through a provider."


class IntentFinal(Rejection):
    code = "intent_final"
    title = "This payment has ended."


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
    title = "The concert has reached its limit of schedules."


class ConcertTakenDown(Rejection):
    code = "concert_taken_down"
    title = "An operator has taken the concert down."


class QueueClosed(Rejection):
    code = "queue_closed"
    title = "This waiting room cannot be joined."


class QueueDrawn(Rejection):
    code = "queue_drawn"
    title = "The order of this waiting room is drawn already."


class QueuePlaceTaken(Rejection):
    code = "queue_place_taken"
    title = (
        "This account has a place of its own in this waiting room, or had its turn: join with it."
    )


class QueueRoomLimit(Rejection):
    code = "queue_room_limit"
    title = "The organization has reached the limit of open waiting rooms."


class QueueTicketExpired(Rejection):
    code = "queue_ticket_expired"
    title = "This queue ticket was used or has expired; join again."


class WebhookEndpointLimit(Rejection):
    code = "webhook_endpoint_limit"
    title = "The organization has reached the limit of webhook endpoints."


class WebhookEndpointDisabled(Rejection):
    code = "webhook_endpoint_disabled"
    title = "The webhook endpoint is disabled."


class IdempotencyInFlight(Rejection):
    code = "idempotency_in_flight"
    title = "A request with this Idempotency-Key is still in progress; retry with the same key."


class TooMany(Problem):
    code = "too_many_requests"
    title = "Too many requests; try again later."


class HoldCooldown(TooMany):
    code = "hold_cooldown"
    title = "Several of your holds ended unpaid; wait before the next one."


class Unavailable(Problem):
    """No outcome was acknowledged; retry after `retry_after_s` with the same Idempotency-Key."""

    code = "unavailable"
    title = "The service is unavailable; try again."

    def __init__(self, detail: str = "", /, *, retry_after_s: int = 1, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    code = "overloaded"
    title = "More requests are waiting than can be served in time; try again."


class PaymentProviderUnavailable(Unavailable):
    """Nothing was sent to the provider: another method, or the same one later."""

    code = "provider_unavailable"
    title = "The payment provider cannot be reached; nothing was charged."


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    title = "The database's answer was lost; retry with the same Idempotency-Key."


class Draining(Unavailable):
    code = "draining"
    title = "This process is shutting down; try again."
