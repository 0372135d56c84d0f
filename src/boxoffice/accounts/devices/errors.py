"""What refuses a request about a log-in."""

from boxoffice.errors import NotFound


class SessionNotFound(NotFound):
    code = "session_not_found"
    title = "There is no such log-in of this account."
