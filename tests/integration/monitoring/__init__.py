"""What roles measure of themselves, on a real database."""
