"""The sections of the report as blocks. Pure."""
