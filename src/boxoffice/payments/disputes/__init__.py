"""Disputes: chargebacks, as a provider shows them or as an operator enters them.

This module must never book what a notice says: the dispute is looked up at the provider first.
"""
