-- Statements about waiting lists.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: shown
-- Whether a published schedule has a waiting list that is on, and how many tickets one person may have.
SELECT l.is_on IS TRUE AS is_on, s.ticket_limit
  FROM schedules s
  -- guard: list_shown_of_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: list_shown_of_this_schedule => LEFT JOIN waiting_lists l ON true
  LEFT JOIN waiting_lists l ON l.schedule_id = s.schedule_id
 -- guard: list_shown_by_schedule_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: list_of_draft_is_not_shown: AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED' =>
 -- guard: list_of_what_was_taken_down_is_not_shown: AND c.taken_down_at IS NULL =>
 WHERE s.schedule_id = $1 AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL;

-- name: join
-- Join the line of a schedule.
SELECT outcome, entry_id FROM waiting_list_join_v1($1, $2, $3, $4, $5, $6, $7);

-- name: entry_of_key
-- The entry that a key of person $1 made in a schedule.
SELECT e.entry_id
  FROM waiting_list_entries e
 -- no guard: The join compares person, schedule and key again, with guards.
 WHERE e.user_id = $1 AND e.schedule_id = $2 AND e.idempotency_key = $3;

-- name: leave
-- End an entry that waits, of person $3; its status before, none for an entry that does not exist.
WITH own AS (
    SELECT e.schedule_id, e.entry_id, e.status
      FROM waiting_list_entries e
     -- guard: leave_this_entry: AND e.entry_id = $2 => AND $2::uuid IS NOT NULL
     -- guard: leave_own_entry: AND e.user_id = $3 => AND $3::uuid IS NOT NULL
     WHERE e.schedule_id = $1 AND e.entry_id = $2 AND e.user_id = $3
       -- no guard: Waits for a turn of the line; the condition on the status below is the guard.
       FOR NO KEY UPDATE
), ended AS (
    UPDATE waiting_list_entries e SET status = 'LEFT', ended_at = clock_timestamp()
      FROM own
     -- no guard: The entry that was read above.
     WHERE e.schedule_id = own.schedule_id AND e.entry_id = own.entry_id
       -- guard: leave_only_what_waits
       AND own.status = 'WAITING'
)
SELECT own.status FROM own;

-- name: of_person
-- Entries of person $1, the newest first, from a cursor on; of one schedule or of all. `ahead`: how many wait
-- before a waiting one. An offer whose hold has ended counts as lapsed, also before the line is settled.
SELECT e.schedule_id, e.entry_id, e.seats, e.grade, e.joined_at, e.reservation_id,
       -- no guard: The settlement decides with guards of its own; until then the page shows the same.
       CASE WHEN e.status = 'OFFERED' AND r.status IN ('CONFIRMED', 'REFUNDED') THEN 'TAKEN'
            -- guard: waiting_entries_shown_offer_that_lapsed => WHEN false THEN 'LAPSED'
            WHEN e.status = 'OFFERED' AND (r.expires_at > clock_timestamp() AND r.status = 'HELD') IS NOT TRUE THEN 'LAPSED'
            ELSE e.status END AS status,
       -- no guard: The end of an offer that was extended by its payment.
       greatest(e.offer_expires_at, r.expires_at) AS offer_expires_at, a.ahead
  FROM waiting_list_entries e
  -- no guard: The reservation of the offer, by its primary key.
  LEFT JOIN reservations r ON r.schedule_id = e.schedule_id AND r.reservation_id = e.reservation_id
  LEFT JOIN LATERAL (
       SELECT count(*) AS ahead
         FROM waiting_list_entries w
        -- guard: ahead_in_this_line: w.schedule_id = e.schedule_id AND =>
        -- guard: ahead_before_this_place: AND w.place < e.place =>
        -- guard: ahead_only_what_waits: AND w.status = 'WAITING' =>
        WHERE w.schedule_id = e.schedule_id AND w.status = 'WAITING' AND w.place < e.place
       -- no guard: Joins a waiting entry with a count; the conditions are inside.
       HAVING e.status = 'WAITING') a ON true
 -- guard: waiting_entries_only_own: e.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: waiting_entries_from_where_last_page_ended: e.entry_id < $2 => true
 WHERE e.user_id = $1 AND ($2::uuid IS NULL OR e.entry_id < $2)
   -- guard: waiting_entries_of_one_schedule: e.schedule_id = $4 => true
   AND ($4::uuid IS NULL OR e.schedule_id = $4)
 ORDER BY e.entry_id DESC
 -- guard: waiting_entries_pages_worth: $3 => $3 + 9
 LIMIT $3;

-- name: lock_schedule
-- Lock a schedule of the organizations $2 against other commands of organizers.
SELECT s.concert_id, c.organization_id
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: list_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: list_only_its_organizer: AND c.organization_id = ANY ($2::uuid[]) => AND $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- no guard: Two switches at once would differ in their entries of the activity log only.
   FOR NO KEY UPDATE OF s;

-- name: switch
-- Switch the list of a schedule on or off; whether that changed anything.
INSERT INTO waiting_lists AS l (schedule_id, changed_at, is_on) VALUES ($1, clock_timestamp(), $2)
    -- no guard: Without it the primary key refuses the second switch.
    ON CONFLICT ON CONSTRAINT waiting_lists_pkey DO UPDATE SET is_on = excluded.is_on, changed_at = excluded.changed_at
     -- no guard: A switch without effect writes no action.
     WHERE l.is_on <> excluded.is_on
RETURNING l.is_on;

-- name: set_turn
-- From now on seats of a schedule that return wait for the line; the time never becomes shorter.
UPDATE schedules s SET waiting_list_turn_s = greatest(s.waiting_list_turn_s, $2)
 -- guard: turn_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: close_entries
-- End the entries of a line that wait.
UPDATE waiting_list_entries e SET status = 'CLOSED', ended_at = clock_timestamp()
 -- guard: close_entries_of_this_line: e.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: close_entries_that_wait: AND e.status = 'WAITING' => AND e.ended_at IS NULL
 WHERE e.schedule_id = $1 AND e.status = 'WAITING';

-- name: summary
-- The list of a schedule of the organizations $2 (null: of any), with the numbers of its entries.
SELECT l.is_on IS TRUE AS is_on, s.waiting_list_turn_s AS turn_s,
       -- no guard: { Numbers for the console.
       count(e.entry_id) FILTER (WHERE e.status = 'WAITING') AS waiting,
       coalesce(sum(e.seats) FILTER (WHERE e.status = 'WAITING'), 0) AS seats_wanted,
       count(e.entry_id) FILTER (WHERE e.status = 'OFFERED') AS offered,
       count(e.entry_id) FILTER (WHERE e.status = 'TAKEN') AS taken,
       count(e.entry_id) FILTER (WHERE e.status = 'LAPSED') AS lapsed
       -- guard: }
  FROM schedules s
  -- no guard: { Concert and list of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN waiting_lists l ON l.schedule_id = s.schedule_id
  -- guard: }
  -- guard: summary_entries_of_this_line => LEFT JOIN waiting_list_entries e ON true
  LEFT JOIN waiting_list_entries e ON e.schedule_id = s.schedule_id
 -- guard: summary_by_schedule_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: summary_only_of_its_organizer: c.organization_id = ANY ($2) => true
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2))
 GROUP BY l.is_on, s.waiting_list_turn_s;

-- name: due
-- Schedules whose line has something to do: entries that wait or have an offer, or seats that may return.
SELECT l.schedule_id
  FROM waiting_lists l
  -- no guard: The schedule of the list, by its primary key.
  JOIN schedules s ON s.schedule_id = l.schedule_id
 -- guard: due_lines_with_entries { => WHERE false
 WHERE EXISTS (SELECT FROM waiting_list_entries e
                WHERE e.schedule_id = l.schedule_id AND e.status IN ('WAITING', 'OFFERED'))
 -- guard: }
    -- no guard: { Bounds the work; without waiting entries the seats return by themselves at the end of the turn.
    OR (s.starts_at > clock_timestamp()
        AND (EXISTS (SELECT FROM lapsing_holds h
                      WHERE h.schedule_id = l.schedule_id
                        AND h.expires_at <= clock_timestamp()
                            + make_interval(secs => s.waiting_list_turn_s + s.seats_return_delay_max_s))
             OR EXISTS (SELECT FROM closed_reservations k
                         WHERE k.schedule_id = l.schedule_id
                           AND k.closed_at > clock_timestamp()
                               - make_interval(secs => s.waiting_list_turn_s + s.seats_return_delay_max_s))));
    -- guard: }

-- name: waiting
-- How many entries wait, over all schedules.
SELECT count(*) AS waiting
  FROM waiting_list_entries e
 -- no guard: A figure for the metrics.
 WHERE e.status = 'WAITING';

-- name: settle
-- End the offers of a line whose holds were paid or have ended. A hold that is being paid is locked, and waits.
UPDATE waiting_list_entries e
   -- guard: settle_paid_offer_was_taken: 'TAKEN' => 'LAPSED'
   SET status = CASE WHEN x.status IN ('CONFIRMED', 'REFUNDED') THEN 'TAKEN' ELSE 'LAPSED' END,
       ended_at = clock_timestamp()
  FROM (SELECT o.entry_id, r.status
          FROM waiting_list_entries o
         CROSS JOIN LATERAL (
               SELECT r.status, r.expires_at FROM reservations r
                -- no guard: The reservation of the offer, by its primary key.
                WHERE r.schedule_id = o.schedule_id AND r.reservation_id = o.reservation_id
                  -- guard: settle_only_what_has_ended
                  AND (r.status <> 'HELD' OR r.expires_at <= clock_timestamp())
                  -- guard: settle_skips_what_is_being_decided: FOR NO KEY UPDATE SKIP LOCKED =>
                  FOR NO KEY UPDATE SKIP LOCKED) r
         -- guard: settle_offers_of_this_line: o.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
         WHERE o.schedule_id = $1 AND o.status = 'OFFERED'
         UNION ALL
        SELECT o.entry_id, a.status
          FROM waiting_list_entries o
          -- no guard: { What ended long ago is in the archive.
          JOIN reservations_archive a
            ON a.schedule_id = o.schedule_id AND a.reservation_id = o.reservation_id
         WHERE o.schedule_id = $1 AND o.status = 'OFFERED'
         -- guard: }
       ) x
 -- no guard: The entries that were read above; a second worker changes none again.
 WHERE e.schedule_id = $1 AND e.entry_id = x.entry_id AND e.status = 'OFFERED';

-- name: lock_line
-- Lock the list of a schedule for a turn, where no other worker has it. `is_over`: nothing will be sold any more;
-- `may_let_go`: seats have no return delay of the schedule beside the turn.
SELECT l.is_on, s.has_offers,
       -- guard: line_ends_with_its_sale => false AS is_over,
       s.status = 'CANCELLED' OR clock_timestamp() >= least(s.sale_closes_at, s.starts_at) AS is_over,
       -- guard: line_serves_only_what_is_on_sale => true AS is_on_sale,
       s.status = 'OPEN' AND c.taken_down_at IS NULL AS is_on_sale,
       -- guard: line_keeps_the_return_delay => true AS may_let_go
       s.seats_return_delay_max_s = 0 AS may_let_go
  FROM waiting_lists l
  -- no guard: { Schedule and concert of the list, by their primary keys.
  JOIN schedules s ON s.schedule_id = l.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: line_of_this_schedule: l.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE l.schedule_id = $1
   -- guard: line_is_locked_for_its_turn => ;
   FOR NO KEY UPDATE OF l SKIP LOCKED;

-- name: returning
-- Seats of a schedule that are held for a reservation that has ended, in the order of the layout: what lapsed or
-- was refunded is on the sweeper's list, what was released is on that of the archive. Seats that are sold
-- together with another one are not offered.
WITH span AS (
    SELECT make_interval(secs => s.waiting_list_turn_s + s.seats_return_delay_max_s) AS delay
      FROM schedules s
     -- no guard: The schedule, by its primary key.
     WHERE s.schedule_id = $1
), ended AS (
    SELECT i.id
      FROM span
     CROSS JOIN lapsing_holds h
     CROSS JOIN LATERAL unnest(h.reservation_ids) i (id)
     -- no guard: { Bounds the work: the conditions on reservations and seats are the guards.
     WHERE h.schedule_id = $1 AND h.expires_at <= clock_timestamp() + span.delay
     UNION
    SELECT i.id
      FROM span
     CROSS JOIN closed_reservations k
     CROSS JOIN LATERAL unnest(k.reservation_ids) i (id)
     WHERE k.schedule_id = $1 AND k.closed_at > clock_timestamp() - span.delay
     -- guard: }
)
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.version
  FROM ended
 CROSS JOIN LATERAL (
       SELECT r.seat_ids
         FROM reservations r
        -- no guard: { Finds the reservation, by its primary key.
        WHERE r.schedule_id = $1 AND r.reservation_id = ended.id
        -- guard: }
          -- guard: returning_seats_of_what_has_ended
          AND (r.status <> 'HELD' OR r.expires_at <= clock_timestamp())
       OFFSET 0) r
 CROSS JOIN LATERAL unnest(r.seat_ids) t (seat_id)
 CROSS JOIN LATERAL (
       SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.version, s.ordinal
         FROM seats s
        -- no guard: Finds the seat, by its primary key.
        WHERE s.schedule_id = $1 AND s.seat_id = t.seat_id
          -- guard: returning_seat_is_still_of_what_has_ended
          AND s.reservation_id = ended.id
          -- guard: returning_seat_is_held
          AND s.state = 'HELD'
          -- guard: returning_seat_is_not_on_sale_yet
          AND s.expires_at > clock_timestamp()
       OFFSET 0) s
 -- guard: returning_no_seat_that_is_sold_with_another => WHERE true
 WHERE NOT EXISTS (SELECT FROM seat_attributes a WHERE a.schedule_id = $1 AND a.seat_id = s.seat_id AND a.partner_id IS NOT NULL)
 ORDER BY s.ordinal;

-- name: wait_for_line
-- Wait for the turn that another worker gives the list of a schedule, and keep others waiting; none without a list
-- that is on.
SELECT l.schedule_id
  FROM waiting_lists l
 -- guard: wait_for_this_line: l.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- no guard: The line is read again, and a list that is off offers nothing.
 WHERE l.schedule_id = $1 AND l.is_on
   -- no guard: Saves an offer that a concurrent turn would make moot.
   FOR NO KEY UPDATE;

-- name: put_back
-- Of these seats those that the transaction has put back on sale, in the order of the layout.
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.version
  FROM seats s
 -- guard: put_back_seats_of_this_schedule: s.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: put_back_only_these: AND s.seat_id = ANY ($2::text[]) => AND $2::text[] IS NOT NULL
 WHERE s.schedule_id = $1 AND s.seat_id = ANY ($2::text[])
   -- guard: put_back_only_what_is_available: AND s.state = 'AVAILABLE' =>
   AND s.state = 'AVAILABLE'
   -- guard: put_back_no_seat_that_is_sold_with_another
   AND NOT EXISTS (SELECT FROM seat_attributes a WHERE a.schedule_id = $1 AND a.seat_id = s.seat_id AND a.partner_id IS NOT NULL)
 ORDER BY s.ordinal;

-- name: next_entries
-- The first entries of a line that seats may fit, locked for the turn, at most $5: of any grade for at most $2
-- seats, or of grade $3[i] for at most $4[i].
SELECT e.entry_id, e.user_id, e.seats, e.grade
  FROM waiting_list_entries e
 -- guard: next_entries_of_this_line: e.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 WHERE e.schedule_id = $1 AND e.status = 'WAITING'
   -- no guard: { Bounds the work: which entry the seats fit is decided afterwards.
   AND (e.grade IS NULL AND e.seats <= $2
        OR EXISTS (SELECT FROM unnest($3::text[], $4::integer[]) g (grade, seats)
                    WHERE g.grade = e.grade AND e.seats <= g.seats))
   -- guard: }
 -- guard: next_entries_first_come_first_served: e.place => e.place DESC
 ORDER BY e.place
 -- no guard: Bounds the work of one turn.
 LIMIT $5
   -- no guard: The turn has the line; an entry that is left meanwhile is waited for.
   FOR NO KEY UPDATE;

-- name: wanted_grades
-- The grades for which entries of a line wait, null for any.
-- no guard: Saves rows; the set is the same.
SELECT DISTINCT e.grade
  FROM waiting_list_entries e
 -- guard: wanted_in_this_line: e.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: wanted_by_what_waits: AND e.status = 'WAITING' =>
 WHERE e.schedule_id = $1 AND e.status = 'WAITING';

-- name: offer
-- Offer seats to entries of a line; the outcomes.
SELECT waiting_list_offer_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: let_go
-- Put returning seats on sale; how many.
SELECT waiting_list_let_go_v1($1, $2, $3);
