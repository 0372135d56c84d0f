"""What does not exist, or belongs to another person or organization."""

from boxoffice.errors.problems import NotFound


class ConcertNotFound(NotFound):
    code = "concert_not_found"
    title = "There is no such concert."


class OrganizationNotFound(NotFound):
    code = "organization_not_found"
    title = "There is no such organization."


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


class TicketNotFound(NotFound):
    code = "ticket_not_found"
    title = "The payment has no such ticket."


class RefundNotFound(NotFound):
    code = "refund_not_found"
    title = "There is no such refund."


class PosterNotFound(NotFound):
    code = "poster_not_found"
    title = "The concert has no poster."


class WebhookEndpointNotFound(NotFound):
    code = "webhook_endpoint_not_found"
    title = "There is no such webhook endpoint."


class WebhookDeliveryNotFound(NotFound):
    code = "webhook_delivery_not_found"
    title = "There is no such delivery."


class IntentNotFound(NotFound):
    code = "payment_intent_not_found"
    title = "There is no such payment intent."


class DisputeNotFound(NotFound):
    code = "dispute_not_found"
    title = "There is no such dispute."


class FindingNotFound(NotFound):
    code = "finding_not_found"
    title = "There is no such finding."


class StatementNotFound(NotFound):
    code = "statement_not_found"
    title = "No statement of this day was compared."
