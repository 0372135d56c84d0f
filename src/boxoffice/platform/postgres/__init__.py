"""PostgreSQL: connections, named statements, migrations, roles, and what a standby has confirmed."""
