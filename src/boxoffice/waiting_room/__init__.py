"""The waiting room: people take a number and wait until it is called.

Nothing here decides who gets a seat; whoever is inside still has to be faster than the others there.
"""
