"""Tests of cancelled and postponed performances."""
