"""Logs, metrics and the access log; no business."""
