"""Each condition of the organizers' statements, tried with two halls.

Organizer, concert and schedule of a hall have the same id.
"""
