"""Clients of the API for other programs, generated from the OpenAPI document."""
