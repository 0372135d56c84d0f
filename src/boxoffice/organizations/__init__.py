"""Organizations, their members, invitations and applications; roles are in `permissions.py`.

Other modules read memberships where they confirm a caller; only this module changes them.
"""
