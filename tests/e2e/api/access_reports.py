"""Who may read reports, and get them by mail."""

from .access_rules import Rule, looked_at, sellers

REPORTS: dict[str, Rule] = {
    "GET /v1/admin/reports/sales": looked_at(roles="manager read_only"),
    "GET /v1/admin/reports/sales/export": looked_at(roles="manager read_only"),
    "GET /v1/admin/reports/settlement": looked_at(roles="manager read_only"),
    "GET /v1/admin/reports/settlement/export": looked_at(roles="manager read_only"),
    "GET /v1/admin/schedules/{schedule_id}/attendees": looked_at(
        "schedule_not_found", "manager box_office read_only"
    ),
    "GET /v1/admin/schedules/{schedule_id}/attendees/export": looked_at(
        "schedule_not_found", "manager box_office read_only"
    ),
    # An operator, who is no member, gets no mails of the organization.
    "GET /v1/admin/organizations/{organization_id}/report-mails": sellers(
        200, "organization_not_found", "organization_not_found", "manager read_only"
    ),
    "PUT /v1/admin/organizations/{organization_id}/report-mails": sellers(
        200, "organization_not_found", "organization_not_found", "manager read_only"
    ),
}
