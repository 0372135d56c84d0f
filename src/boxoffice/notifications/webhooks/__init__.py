"""Outbound webhooks in the Standard Webhooks format: endpoints, deliveries, and their sender."""
