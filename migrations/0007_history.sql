-- Written while the previous release serves: it adds, and what that release knows stays as it is.
-- The index is that of a new table, and schedules are few: their check is made at once.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '300s';

-- Who has had reservations in a schedule ----------------------------------------------------------------
-- A row per person and schedule, from the first reservation on that ended there without a payment. So what
-- one person has is known without looking at what they once had: who has no row has only reservations that
-- are held or paid, and of those there are no more than tickets. `open_ids` are the held ones.
-- Null in `sold_seats`: nobody has counted yet, and whoever wants to know looks at the reservations.
-- `strikes`: how many ended without a payment since the last payment, the last one at `struck_at`.
-- A row is touched only under the advisory lock of person and schedule.

CREATE TABLE schedule_buyers (
    schedule_id uuid NOT NULL,
    user_id uuid NOT NULL,
    struck_at timestamptz NOT NULL,
    sold_seats integer,
    lapsed integer NOT NULL DEFAULT 0,
    released integer NOT NULL DEFAULT 0,
    strikes integer NOT NULL DEFAULT 0,
    open_ids uuid [] NOT NULL DEFAULT '{}',
    CONSTRAINT schedule_buyers_pkey PRIMARY KEY (schedule_id, user_id),
    CONSTRAINT schedule_buyers_counts CHECK (least(sold_seats, lapsed, released, strikes) >= 0)
) WITH (fillfactor = 70);

-- What the archivist works off: a row per batch of reservations that were closed together.
CREATE TABLE closed_reservations (
    schedule_id uuid NOT NULL,
    closed_at timestamptz NOT NULL,
    first_reservation_id uuid NOT NULL,
    reservation_ids uuid [] NOT NULL,
    CONSTRAINT closed_reservations_pkey PRIMARY KEY (schedule_id, closed_at, first_reservation_id)
) WITH (toast_tuple_target = 8160);

-- What ended before this release.
INSERT INTO schedule_buyers (schedule_id, user_id, struck_at)
SELECT r.schedule_id, r.user_id, max(r.closed_at)
  FROM reservations r
 WHERE r.status IN ('EXPIRED', 'CANCELLED')
 GROUP BY r.schedule_id, r.user_id;

INSERT INTO closed_reservations (schedule_id, closed_at, first_reservation_id, reservation_ids)
SELECT x.schedule_id, max(x.closed_at), (array_agg(x.reservation_id))[1], array_agg(x.reservation_id)
  FROM (SELECT r.schedule_id, r.reservation_id, r.closed_at,
               row_number() OVER (PARTITION BY r.schedule_id ORDER BY r.closed_at) / 100 AS part
          FROM reservations r
         WHERE r.status IN ('EXPIRED', 'CANCELLED')) x
 GROUP BY x.schedule_id, x.part;

-- The archive -------------------------------------------------------------------------------------------
-- Reservations that ended without a payment, from some time after their end on. A repetition is answered
-- out of it, so its key is as unique as the other one's.

CREATE TABLE reservations_archive (
    schedule_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    closed_at timestamptz NOT NULL,
    archived_at timestamptz NOT NULL,
    amount_minor bigint NOT NULL,
    closed_by uuid,
    status text NOT NULL,
    currency text NOT NULL,
    seat_ids text [] NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    CONSTRAINT reservations_archive_pkey PRIMARY KEY (schedule_id, reservation_id),
    CONSTRAINT reservations_archive_key_unique UNIQUE (user_id, schedule_id, idempotency_key),
    CONSTRAINT reservations_archive_is_over CHECK (status IN ('EXPIRED', 'CANCELLED'))
);

CREATE INDEX reservations_archive_of_user ON reservations_archive (user_id, reservation_id);

-- What the record of a waiting room said, once its sale is long over: a row of `queue_joins` or of
-- `queue_admissions`, whole, by its number in there.
CREATE TABLE queue_archive (
    schedule_id uuid NOT NULL,
    kind text NOT NULL,
    record_id bigint NOT NULL,
    archived_at timestamptz NOT NULL,
    record jsonb NOT NULL,
    CONSTRAINT queue_archive_pkey PRIMARY KEY (schedule_id, kind, record_id),
    CONSTRAINT queue_archive_kind_known CHECK (kind IN ('join', 'admission'))
);

-- How far the archive has come: nothing that was closed before `closed_before` was left behind.
CREATE TABLE archive_progress (
    kind text NOT NULL,
    passed_at timestamptz NOT NULL,
    closed_before timestamptz NOT NULL,
    CONSTRAINT archive_progress_pkey PRIMARY KEY (kind)
);

-- Seats that take their time to come back ---------------------------------------------------------------

ALTER TABLE schedules ADD COLUMN seats_return_delay_max_s integer NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD CONSTRAINT schedules_return_delay_bounded
    CHECK (seats_return_delay_max_s BETWEEN 0 AND 600);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
