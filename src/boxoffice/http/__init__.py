"""Everything that is HTTP and nothing that is business: answers, bodies, paging, health, the server."""
