"""Notifications: outbound webhooks of organizers, and mail to buyers.

The relay queues both in the transaction that deletes events from the outbox; the role `messenger` sends
them. The module must never decide about a sale, and a receiver must never delay a sale or another
receiver.
"""
