"""Where an account is logged in: each log-in with its browser, and how to end one.

This module must never be asked on the way of other requests.
"""
