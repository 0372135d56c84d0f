"""The version that a change names with `If-Match`."""

import pytest

from boxoffice.platform.conditional import (
    PreconditionInvalid,
    PreconditionRequired,
    entity_tag,
    expected_version,
)


def test_a_tag_of_ours_names_its_version() -> None:
    assert expected_version(f" {entity_tag(17)} ") == 17


@pytest.mark.parametrize("missing", [None, ""])
def test_a_change_names_a_version(missing: str | None) -> None:
    with pytest.raises(PreconditionRequired):
        expected_version(missing)


@pytest.mark.parametrize("tag", ["17", '"x"', 'W/"17"', '"1", "2"', "*", '"1234567890"', '"１"'])
def test_what_is_no_tag_of_ours_is_refused(tag: str) -> None:
    with pytest.raises(PreconditionInvalid):
        expected_version(tag)
