"""The API reference for people, rendered from the OpenAPI document; its pages need no scripts.

It must never describe an operation itself: each text, schema and example is one of the document.
"""
