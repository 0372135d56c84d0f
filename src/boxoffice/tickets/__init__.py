"""Tickets: what a payment issues, and their QR codes."""
