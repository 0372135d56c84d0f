"""The waiting room: users take a number and wait until it is called.

It never decides who gets a seat.
"""
