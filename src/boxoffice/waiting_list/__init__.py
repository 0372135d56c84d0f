"""Waiting lists of schedules: who wants seats that return, and their offers.

It never holds a seat itself: an offer is an ordinary hold that the hold function decides. It never
serves a later entry before an earlier one that the seats fit.
"""
