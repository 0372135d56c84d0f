"""PostgreSQL: connections, named statements, migrations, roles and standbys."""
