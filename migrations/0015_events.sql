-- Written while the previous release serves: it adds columns without defaults or with constant ones, which
-- touches no row, and a wider check holds for every row that the narrower one held for. `concerts` and
-- `schedules` have a row per concert and performance, and nothing that sells writes into them. The indexes are
-- those of new tables.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid, ban-drop-constraint, adding-foreign-key-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Venues -----------------------------------------------------------------------------------------------
-- `time_zone` is an IANA name: every moment of a performance is shown in it. A text is in the default language
-- of its organizer; `_en` and `_ko` replace it for readers of that language, here and in `concerts`.

CREATE TABLE venues (
    venue_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    latitude double precision,
    longitude double precision,
    version integer NOT NULL DEFAULT 1,
    name text NOT NULL,
    name_en text,
    name_ko text,
    address text NOT NULL DEFAULT '',
    address_en text,
    address_ko text,
    city text NOT NULL DEFAULT '',
    country text NOT NULL,
    time_zone text NOT NULL,
    directions text NOT NULL DEFAULT '',
    directions_en text,
    directions_ko text,
    CONSTRAINT venues_pkey PRIMARY KEY (venue_id),
    CONSTRAINT venues_of_organization
        FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT venues_version_counted CHECK (version > 0),
    CONSTRAINT venues_country_code CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT venues_time_zone_named CHECK (time_zone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,63}$'),
    CONSTRAINT venues_place_on_earth CHECK (
        num_nonnulls(latitude, longitude) <> 1
        AND (latitude IS NULL OR latitude BETWEEN -90 AND 90)
        AND (longitude IS NULL OR longitude BETWEEN -180 AND 180))
);

CREATE INDEX venues_by_organization ON venues (organization_id, venue_id);

-- Concerts ---------------------------------------------------------------------------------------------
-- `version` grows with each change and is the entity tag of a conditional request, also in `schedules`.

ALTER TABLE concerts
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN running_time_min integer,
    ADD COLUMN intermission_min integer,
    ADD COLUMN title_en text,
    ADD COLUMN title_ko text,
    ADD COLUMN artist_en text,
    ADD COLUMN artist_ko text,
    ADD COLUMN description_en text,
    ADD COLUMN description_ko text,
    ADD COLUMN genre text,
    ADD COLUMN age_rating text,
    ADD COLUMN faq text,
    ADD COLUMN faq_en text,
    ADD COLUMN faq_ko text,
    ADD COLUMN notices text,
    ADD COLUMN notices_en text,
    ADD COLUMN notices_ko text,
    ADD COLUMN refund_notes text,
    ADD COLUMN refund_notes_en text,
    ADD COLUMN refund_notes_ko text,
    ADD COLUMN organizer_contact text,
    ADD CONSTRAINT concerts_version_counted CHECK (version > 0),
    ADD CONSTRAINT concerts_times_positive CHECK (
        coalesce(running_time_min, 1) BETWEEN 1 AND 1440
        AND coalesce(intermission_min, 0) BETWEEN 0 AND 240),
    ADD CONSTRAINT concerts_genre_named CHECK (genre ~ '^[a-z][a-z_]{0,29}$'),
    ADD CONSTRAINT concerts_age_rating_known CHECK (age_rating = ANY ('{all,7,12,15,19}'::text []));

-- Schedules --------------------------------------------------------------------------------------------
-- Without a venue, a performance is at its concert's text `venue`, in the default time zone. `changed_at` is
-- when date, venue or start changed last for sold seats: a sale before it may be returned without a fee until
-- `refundable_until`. `postponed_from` is the start before the last postponement.

ALTER TABLE schedules
    ADD COLUMN venue_id uuid,
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN doors_at timestamptz,
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN refundable_until timestamptz,
    ADD COLUMN cancelled_at timestamptz,
    ADD COLUMN postponed_from timestamptz,
    ADD CONSTRAINT schedules_at_venue FOREIGN KEY (venue_id) REFERENCES venues (venue_id),
    ADD CONSTRAINT schedules_version_counted CHECK (version > 0),
    ADD CONSTRAINT schedules_doors_before_start CHECK (doors_at <= starts_at),
    ADD CONSTRAINT schedules_change_agrees CHECK (refundable_until IS NULL OR changed_at IS NOT NULL),
    DROP CONSTRAINT schedules_status_known,
    ADD CONSTRAINT schedules_status_known
        CHECK (status = ANY ('{DRAFT,OPEN,CLOSED,CANCELLED}'::text [])),
    ADD CONSTRAINT schedules_cancelled_agrees CHECK ((status = 'CANCELLED') = (cancelled_at IS NOT NULL));

CREATE INDEX schedules_by_venue ON schedules (venue_id) WHERE venue_id IS NOT NULL;

-- What buyers are told of a schedule: that it changed, moved, or is cancelled. The row is the job, too: mails
-- are queued in the order of the reservations and go on after a crash from `after_reservation_id`;
-- `notified_at`: all are queued. A cancellation releases holds and has a refund job.
CREATE TABLE schedule_changes (
    schedule_id uuid NOT NULL,
    change_id uuid NOT NULL,
    asked_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    starts_before timestamptz NOT NULL,
    starts_after timestamptz NOT NULL,
    refundable_until timestamptz,
    notified_at timestamptz,
    finished_at timestamptz,
    after_reservation_id uuid,
    refund_job_id uuid,
    mails integer NOT NULL DEFAULT 0,
    released integer NOT NULL DEFAULT 0,
    kind text NOT NULL,
    venue_before text NOT NULL,
    venue_after text NOT NULL,
    reason text NOT NULL DEFAULT '',
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    CONSTRAINT schedule_changes_pkey PRIMARY KEY (schedule_id, change_id),
    CONSTRAINT schedule_changes_key_unique UNIQUE (schedule_id, idempotency_key),
    CONSTRAINT schedule_changes_kind_known CHECK (kind = ANY ('{CHANGED,POSTPONED,CANCELLED}'::text [])),
    CONSTRAINT schedule_changes_counted CHECK (least(mails, released) >= 0),
    CONSTRAINT schedule_changes_refund_agrees CHECK ((kind = 'CANCELLED') = (refund_job_id IS NOT NULL)),
    CONSTRAINT schedule_changes_ends_notified CHECK (finished_at IS NULL OR notified_at IS NOT NULL)
);

CREATE UNIQUE INDEX schedule_changes_cancelled_once ON schedule_changes (schedule_id) WHERE kind = 'CANCELLED';

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
