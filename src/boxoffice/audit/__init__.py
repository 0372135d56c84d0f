"""Checks on the live database that every promise is kept, apart from the code that keeps them."""

from boxoffice.audit.report import Check, Report, as_json, render, render_check, render_verdict
from boxoffice.audit.service import audit

__all__ = ["Check", "Report", "as_json", "audit", "render", "render_check", "render_verdict"]
