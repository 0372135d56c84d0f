"""Tests of backups without servers."""
