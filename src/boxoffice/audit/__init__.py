"""The invariants as SQL, checked on the live database without the code that maintains them."""

from boxoffice.audit.report import Check, Report, as_json, render, render_check, render_summary
from boxoffice.audit.service import audit

__all__ = ["Check", "Report", "as_json", "audit", "render", "render_check", "render_summary"]
