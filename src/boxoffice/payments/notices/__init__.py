"""Notices of payment providers: stored before they are acknowledged, handled by the cashier.

This module must never change an intent, a payment or a refund: what a notice says is a reason to look
the payment up, and nothing else.
"""
