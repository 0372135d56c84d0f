"""Brands of organizations: names, logo, accent colour and terms, as buyers see them."""
