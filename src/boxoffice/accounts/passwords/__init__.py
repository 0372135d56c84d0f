"""Passwords: how they are hashed and which ones are refused; never stored or logged in clear text."""
