"""Bodies of operations that need nothing that a test has made."""

from .client import PASSWORD

_NONE = "00000000-0000-7000-8000-000000000000"

OTHER_BODIES: dict[str, object] = {
    "PUT /v1/me/password": {"password": "wrong", "new_password": PASSWORD},
    "PUT /v1/me/email": {"email": "another@example.org", "password": "wrong"},
    "POST /v1/password-resets": {"email": "nobody@example.org"},
    "POST /v1/password-resets/confirm": {"token": "x", "password": PASSWORD},
    "POST /v1/email-confirmations": {"token": "x"},
    # A reason without anything to be seen: the concert is needed for other rows.
    "POST /v1/admin/concerts/{concert_id}/take-down": {"reason": " "},
    "PATCH /v1/admin/organizations/{organization_id}": {"name": "Organizer"},
    "PATCH /v1/admin/organizations/{organization_id}/brand": {"terms": "T"},
    "PATCH /v1/admin/organizations/{organization_id}/members/{user_id}": {"role": "door"},
    "POST /v1/admin/organizations/{organization_id}/invitations": {
        "email": "somebody@example.org",
        "role": "door",
    },
    "PUT /v1/admin/featured-concert": {"concert_id": _NONE},
    "PUT /v1/admin/organizations/{organization_id}/report-mails": {
        "report": "sales",
        "frequency": "daily",
    },
    "POST /v1/invitations/accept": {"token": "x"},
    "POST /v1/schedules/{schedule_id}/waiting-list/entries": {"quantity": 1},
    "PUT /v1/admin/schedules/{schedule_id}/waiting-list": {"is_on": False},
    "POST /v1/organizer-applications": {"organization_name": " ", "contact": "C"},
    "POST /v1/admin/organizer-applications/{application_id}/reject": {"reason": "R"},
}
