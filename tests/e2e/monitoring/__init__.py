"""What the roles of an installation export."""
