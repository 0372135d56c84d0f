"""Posters of concerts: uploads are encoded anew in several sizes, and served under a content hash."""
