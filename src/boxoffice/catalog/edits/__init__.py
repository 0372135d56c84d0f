"""Changes of concerts and schedules by their organizers: edit, delete, unpublish, postpone, cancel.

What may change in which state is in `rules.py`. A change that buyers must hear of is written with its
job, which `cancellations` works off. This module must never change a seat or a reservation.
"""
