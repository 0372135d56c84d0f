"""Cancelled, moved and changed performances: what follows from a decision of the organizer.

The decision is written by `catalog.edits` or by this module, in one transaction with its job. The
cashier works the job off: mails to buyers, released holds, refunds. It must never take back a decision.
"""
