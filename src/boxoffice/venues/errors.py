"""What refuses a request about a venue or its local times."""

from boxoffice.errors import Invalid, NotFound, Rejection


class VenueNotFound(NotFound):
    code = "venue_not_found"
    title = "There is no such venue."


class VenueInUse(Rejection):
    code = "venue_in_use"
    title = "Performances take place at this venue."


class TimeZoneUnknown(Invalid):
    code = "time_zone_unknown"
    title = "There is no such time zone in the IANA database."


class LocalTimeSkipped(Invalid):
    code = "local_time_skipped"
    title = "This local time does not exist at the venue; clocks are set forward over it."


class LocalTimeAmbiguous(Invalid):
    code = "local_time_ambiguous"
    title = "This local time exists twice at the venue; say which one."
