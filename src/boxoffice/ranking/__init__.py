"""The ranking of concerts by recent sales: counted by the relay, kept in Valkey, rebuilt at will.

PostgreSQL has every sale. Valkey has counts by schedule and hour, which the relay recounts from
PostgreSQL after each event of a sale; without Valkey the ranking is read from PostgreSQL.
"""
