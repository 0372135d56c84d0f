"""The parts of the report, in the order of reading. Pure."""
