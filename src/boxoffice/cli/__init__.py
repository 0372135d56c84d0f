"""The commands: each is one role or one task; slow imports happen inside the function."""
