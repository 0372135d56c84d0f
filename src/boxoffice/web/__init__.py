"""The pages: static ES modules, styles and one HTML shell, served from memory under hashed names.

The pages get all data from the API. This module never decides a price or availability, and imports
no other feature.
"""
