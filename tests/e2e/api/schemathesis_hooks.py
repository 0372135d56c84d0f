"""What schemathesis has to know of the shop beyond its description.

Every check runs for every operation. Two findings are what the contract wants, and schemathesis cannot
be told. To give a hold back or to abandon a payment is a DELETE, and the reservation or the payment
intent says from then on what became of it: CANCELLED; where a concert has no poster, or none is
featured, the answer says null. And a new concert has no poster that could be described. What is here
knows those by the answer, and lets everything else of the same checks through. Each that is forgiven is
a line in the file that `BOXOFFICE_TEST_FORGIVEN` names.
"""

import os
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import EnsureResourceAvailability, UseAfterFree

# What is looked at after it was ended: its path, and the member and value by which the answer says so.
_ENDED: dict[str, tuple[str, object]] = {
    "/v1/reservations/{reservation_id}": ("status", "CANCELLED"),
    "/v1/payment-intents/{intent_id}": ("status", "CANCELLED"),
    "/v1/admin/concerts/{concert_id}/poster": ("poster", None),
    "/v1/admin/featured-concert": ("concert_id", None),
}

_DESCRIBE = "PATCH /v1/admin/concerts/{concert_id}/poster"


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: Response,
) -> bool:
    """Return whether a finding is a mistake of the shop."""
    if not (_is_ended(failure, case, response) or _has_no_poster_yet(failure, case, response)):
        return True
    with Path(os.environ["BOXOFFICE_TEST_FORGIVEN"]).open("a", encoding="utf-8") as forgiven:
        forgiven.write(f"{failure.title}: {failure.operation}\n")
    return False


def _is_ended(failure: Failure, case: schemathesis.Case[Any], response: Response) -> bool:
    method, _, path = case.operation.label.partition(" ")
    return (
        isinstance(failure, UseAfterFree)
        and method == "GET"
        and failure.operation == f"DELETE {path}"
        and path in _ENDED
        and response.status_code == 200
        and _says(response, *_ENDED[path])
    )


def _has_no_poster_yet(failure: Failure, case: schemathesis.Case[Any], response: Response) -> bool:
    """A concert was made, and the poster that it has not is described."""
    return (
        isinstance(failure, EnsureResourceAvailability)
        and case.operation.label == _DESCRIBE
        and response.status_code == 404
        and _says(response, "code", "poster_not_found")
    )


def _says(response: Response, member: str, value: object) -> bool:
    try:
        said = response.json()
    except ValueError:
        return False
    return isinstance(said, dict) and member in said and said[member] == value
