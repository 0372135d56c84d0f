"""Tests of brands without servers."""
