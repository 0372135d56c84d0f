"""Rules of commands about seats after the opening: pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from boxoffice.errors import Invalid

BlockReason = Literal["house", "broken", "camera", "view", "other"]
Command = Literal["block", "release", "reprice"]

# Seats that an entry of the activity log names; it is bounded in bytes.
_NAMED_MAX = 50


class Selection(NamedTuple):
    """The seats of a command: some by id, or all of a section, row or grade (None: of any)."""

    seat_ids: Sequence[str] = ()
    section: str | None = None
    row: str | None = None
    grade: str | None = None

    def check(self) -> None:
        """Raise `Invalid` unless it names seats in one of both ways."""
        has_part = (self.section, self.row, self.grade) != (None, None, None)
        # guard: selection_is_of_one_kind => if False:
        if bool(self.seat_ids) == has_part:
            raise Invalid("Give either seat_ids, or a section, row or grade.")
        # guard: selected_row_is_of_a_section => if False:
        if self.row is not None and self.section is None:
            raise Invalid("A row goes with its section.")
        # guard: selection_names_a_seat_once => if False:
        if len(set(self.seat_ids)) != len(self.seat_ids):
            raise Invalid("seat_ids names a seat twice.")


class SeatCommand(NamedTuple):
    """What is done to the seats of a selection; price and grade are None where they stay."""

    command: Command
    selection: Selection
    price_minor: int | None = None
    grade: str | None = None
    reason: BlockReason = "other"
    note: str = ""

    def check(self) -> None:
        """Raise `Invalid` for a selection of two kinds, or a new price that is none."""
        self.selection.check()
        # guard: reprice_changes_something => if False:
        if self.command == "reprice" and self.price_minor is None and self.grade is None:
            raise Invalid("Give a price, a grade, or both.")


def unchanged_of(
    seat_ids: Sequence[str], states: Sequence[str], versions: Sequence[int]
) -> list[tuple[str, str]]:
    """Return the seats that a command left as they were, each with its state."""
    columns = zip(seat_ids, states, versions, strict=True)
    return [(seat_id, state) for seat_id, state, version in columns if not version]


def details_of(command: SeatCommand, changed: Sequence[str], unchanged: int) -> dict[str, object]:
    """Return what the activity log says about a command."""
    details: dict[str, object] = {
        "seats": len(changed),
        "seat_ids": list(changed[:_NAMED_MAX]),
        "unchanged": unchanged,
    }
    if command.command == "block":
        details["reason"] = command.reason
    if command.note:
        details["note"] = command.note
    if command.price_minor is not None:
        details["price"] = command.price_minor
    if command.grade is not None:
        details["grade"] = command.grade
    return details
