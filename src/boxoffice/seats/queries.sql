-- Statements about live seats. They only read.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: public_schedule
-- The currency and the layout version of a schedule; no row while it or its concert is a draft. Holders of tickets need it also
-- after the concert was taken down.
-- guard: seat_map_that_it_was_taken_down: c.taken_down_at IS NULL => true
SELECT s.currency, c.taken_down_at IS NULL AS is_public, s.layout_version
  FROM schedules s
  -- guard: seat_map_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: seat_map_by_schedule_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: seat_map_not_draft: AND c.status = 'PUBLISHED' =>
 -- guard: seat_map_none_while_it_is_draft_itself: s.status <> 'DRAFT' AND =>
 WHERE s.schedule_id = $1 AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED';

-- name: layout_version
-- The version of a schedule's layout.
-- guard: layout_version_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
SELECT s.layout_version FROM schedules s WHERE s.schedule_id = $1;

-- name: seats_of_schedule
-- The seats without their states, in order.
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.price_minor
  FROM seats s
 -- guard: seat_map_seats_of_this_hall => WHERE $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
 ORDER BY s.ordinal;

-- name: seat_states
-- All that a process keeps about the seats of a schedule, in one snapshot: per seat, in order, a byte for
-- the state, the end of the hold (seconds since 1970 as a double, 0 for none) and the version; the last
-- eight bytes of the id of each person who ever had a reservation; the sale window; the version of the
-- layout. A lapsed hold is returned as held, with its end. No row for a concert that is taken down: so every process learns of it.
-- A person with a reservation owns a seat (eight bytes per seat, zeros without an owner), or has a row since
-- the reservation ended, or is on the list of lapsed holds that the sweeper has not closed.
-- The inner query is sorted once for all aggregates; OFFSET 0 keeps it separate, so that narrow rows are
-- sorted and a large hall fits in memory. Casting a state to "char" leaves its first letter.
WITH moment AS MATERIALIZED (SELECT date_part('epoch', clock_timestamp()) AS at)
SELECT n.seats, m.at AS now, n.states, n.expires_at, n.versions,
       n.owners || b.people || l.people AS people,
       -- guard: seat_states_open_is_open => true AS is_open,
       s.status = 'OPEN' AS is_open,
       date_part('epoch', s.sale_opens_at) AS opens_at,
       date_part('epoch', least(s.sale_closes_at, s.starts_at)) AS closes_at,
       s.layout_version
  FROM schedules s
  -- guard: seat_states_not_taken_down: AND c.taken_down_at IS NULL =>
  -- guard: seat_states_of_its_concert: concert_id = s.concert_id AND c. =>
  JOIN concerts c ON c.concert_id = s.concert_id AND c.taken_down_at IS NULL
 CROSS JOIN moment m
 CROSS JOIN LATERAL (
      SELECT count(*) AS seats,
             coalesce(string_agg(
                 CASE x.state
                     -- guard: seat_states_available: '\x00' => '\x01'
                     WHEN 'A' THEN '\x00'::bytea
                     -- guard: seat_states_held: '\x01' => '\x00'
                     WHEN 'H' THEN '\x01'::bytea
                     -- guard: seat_states_sold: '\x02' => '\x00'
                     WHEN 'S' THEN '\x02'::bytea
                     ELSE '\x03'::bytea
                 END, ''::bytea), ''::bytea) AS states,
             coalesce(string_agg(float8send(x.expires_at), ''::bytea), ''::bytea) AS expires_at,
             coalesce(string_agg(int8send(x.version), ''::bytea), ''::bytea) AS versions,
             coalesce(string_agg(x.owner, ''::bytea), ''::bytea) AS owners
        FROM (
            SELECT x.version, x.state::"char" AS state,
                   coalesce(substr(uuid_send(x.user_id), 9), '\x0000000000000000'::bytea) AS owner,
                   coalesce(date_part('epoch', x.expires_at), 0) AS expires_at
              FROM seats x
             -- guard: seat_states_seats_of_this_hall => WHERE true
             WHERE x.schedule_id = s.schedule_id
             ORDER BY x.ordinal
            OFFSET 0
        ) x
 ) n
 CROSS JOIN LATERAL (
      SELECT coalesce(string_agg(substr(uuid_send(b.user_id), 9), ''::bytea), ''::bytea) AS people
        FROM schedule_buyers b
       -- guard: states_buyers_of_this_schedule => WHERE false
       WHERE b.schedule_id = s.schedule_id
 ) b
 CROSS JOIN LATERAL (
      SELECT coalesce(string_agg(substr(uuid_send(r.user_id), 9), ''::bytea), ''::bytea) AS people
        FROM lapsing_holds h
       CROSS JOIN LATERAL unnest(h.reservation_ids) i (id)
       CROSS JOIN LATERAL (
            SELECT r.user_id
              FROM reservations r
             -- guard: seat_states_holders_of_this_schedule: r.schedule_id = s.schedule_id => true
             WHERE r.schedule_id = s.schedule_id AND r.reservation_id = i.id
            OFFSET 0
       ) r
       -- guard: states_lapsed_holds_not_closed => WHERE false
       WHERE h.schedule_id = s.schedule_id
         -- no guard: Leaves out current holders, whom their seats name.
         AND h.expires_at <= to_timestamp(m.at) + make_interval(secs => s.seats_return_delay_max_s + s.waiting_list_turn_s)
 ) l
 -- guard: seat_states_by_schedule_id => WHERE $1::uuid IS NOT NULL;
 WHERE s.schedule_id = $1;
