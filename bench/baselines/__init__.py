"""What the shop is compared with: a bare server, and one lock per request."""
