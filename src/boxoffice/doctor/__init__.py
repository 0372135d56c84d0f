"""Examines an installation before a sale, and says what to do about what it finds."""
