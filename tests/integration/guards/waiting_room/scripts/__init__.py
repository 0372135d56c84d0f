"""What each condition of the waiting room's scripts decides, on a real Valkey.

No PostgreSQL, registry or clock: the test passes the time and the leader's command.
"""
