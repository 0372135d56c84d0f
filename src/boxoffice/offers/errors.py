"""The refusals of offers, beside those of `boxoffice.errors`."""

from boxoffice.errors import Invalid, NotFound, Rejection


class CodeBatchNotFound(NotFound):
    """No batch of codes of this schedule, or that of another organizer."""

    code = "code_batch_not_found"
    title = "There are no such codes."


class PriceTypeUnknown(Invalid):
    """`seat_ids` have a price type that does not exist, or not for their grade."""

    code = "price_type_unknown"
    title = "At least one of these seats has no such price type."


class TermsRefused(Invalid):
    """What an organizer sets cannot be applied; the detail names the fault."""

    code = "offers_invalid"
    title = "These offers are not acceptable."


class CodeInvalid(Rejection):
    """A code that is unknown, disabled or over."""

    code = "code_invalid"
    title = "This code is not valid."


class CodeUsedUp(Rejection):
    """All uses of a code are held or sold; one returns if a hold ends unpaid."""

    code = "code_used_up"
    title = "This code has been used."


class CodeLimit(Rejection):
    """More seats than a use has, or more uses than a person has."""

    code = "code_limit"
    title = "This code is for fewer seats or for fewer orders."


class PresaleOnly(Rejection):
    """Before the public sale, without a code of a presale that has begun."""

    code = "presale_only"
    title = "This is a presale: a code of a presale that has begun is needed."


class QuotaExhausted(Rejection):
    """The quota of the channel is held or sold; seats return if holds end unpaid."""

    code = "quota_exhausted"
    title = "No seats are left for this way of buying."


class CompanionRequired(Rejection):
    """`seat_ids` are sold together with a seat that was not asked for."""

    code = "companion_required"
    title = "An accessible seat and its companion's seat are sold together."


class CodesShown(Rejection):
    """The key made codes before, which are kept as digests only."""

    code = "codes_shown"
    title = "These codes were made and shown once; disable them and make others."
