"""Concert seat reservations for the minute in which everybody wants the same seats."""
