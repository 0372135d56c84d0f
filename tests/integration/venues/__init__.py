"""Tests of venues on a real database."""
