-- Tables of its own, separate from the shop's.
CREATE SCHEMA lock_per_request;

CREATE TABLE lock_per_request.seats (
    schedule_id uuid NOT NULL,
    seat_id text NOT NULL,
    section text NOT NULL,
    row_label text NOT NULL,
    number integer NOT NULL,
    grade text NOT NULL,
    price_minor bigint NOT NULL,
    state text NOT NULL DEFAULT 'AVAILABLE',
    user_id uuid,
    reservation_id uuid,
    expires_at timestamptz,
    PRIMARY KEY (schedule_id, seat_id)
);

CREATE TABLE lock_per_request.reservations (
    reservation_id uuid PRIMARY KEY,
    schedule_id uuid NOT NULL,
    user_id uuid NOT NULL,
    seat_ids text[] NOT NULL,
    amount_minor bigint NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX reservations_by_user ON lock_per_request.reservations (user_id);

INSERT INTO lock_per_request.seats (schedule_id, seat_id, section, row_label, number, grade, price_minor)
SELECT s.schedule_id, s.seat_id, s.section, s.row_label, s.number, s.grade, s.price_minor
  FROM public.seats s
 ORDER BY s.schedule_id, s.ordinal;
