"""Concert seat reservations for the minute in which all buyers want the same seats."""
