"""What holds behind a pooler in transaction mode, where no session is ours.

It never sets anything in a session, and names no backend: what must outlast a transaction is a row.
"""
