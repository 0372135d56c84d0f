"""Tests of posters without servers."""
