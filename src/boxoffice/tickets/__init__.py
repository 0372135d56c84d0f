"""Tickets: their QR codes."""
