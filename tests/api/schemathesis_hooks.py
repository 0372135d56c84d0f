"""What schemathesis has to know of the shop beyond its description.

Every check runs for every operation. Two of their findings are what the contract wants; what is here
knows them by the answer, and lets everything else of the same checks through. Schemathesis counts them
as `Filtered`.

- To give a hold back is a DELETE, and the reservation says from then on what became of it: CANCELLED.
- The preview of a seat map answers 200 to what is none, and says that it is not acceptable.
"""

from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import UseAfterFree

_LOOK = "GET /v1/reservations/{reservation_id}"
_RELEASE = "DELETE /v1/reservations/{reservation_id}"
_PREVIEW = "POST /v1/admin/schedules/{schedule_id}/seats/preview"


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: Response,
) -> bool:
    """Return whether a finding is a mistake of the shop."""
    asked = case.operation.label
    if isinstance(failure, UseAfterFree) and (asked, failure.operation) == (_LOOK, _RELEASE):
        return not _says(response, "status", "CANCELLED")
    if isinstance(failure, AcceptedNegativeData) and asked == _PREVIEW:
        return not _says(response, "acceptable", False)
    return True


def _says(response: Response, member: str, value: object) -> bool:
    try:
        said = response.json()
    except ValueError:
        return False
    return response.status_code == 200 and isinstance(said, dict) and said.get(member) == value
