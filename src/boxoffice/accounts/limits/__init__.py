"""How often an address or an account may try, counted across all processes."""
