"""Who somebody is: sign-up, login, roles, and the signed tokens that every other room trusts.

This room must never keep or log a password or a token in clear, tell at login whether an e-mail
address has an account, ask the database on the way of a request that brings a token, or touch money
outside of seeding.
"""
