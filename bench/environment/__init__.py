"""Servers, databases and the machine that a measurement runs on."""
