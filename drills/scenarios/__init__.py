"""All drills, in the order in which they run."""

from drills.drill import Drill

ALL: tuple[Drill, ...] = ()
