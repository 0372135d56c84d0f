"""Organizations, their members, invitations and applications.

Other modules read memberships where they confirm a caller; only this module changes them. Roles are
in `permissions.py`.
"""
