-- Every statement of the waiting room.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: rooms
-- Up to $1 open waiting rooms: not off, and the performance and sale ended less than a day ago.
SELECT r.schedule_id, r.mode, r.is_paused, r.is_closed, r.rate_per_s, r.inside_max, r.inside_s,
       r.grace_s, extract(epoch FROM r.opens_at)::double precision AS opens_at, r.seed, r.lobby_size,
       r.epoch, r.numbers_to, r.joined, r.called, r.allows_anonymous,
       coalesce(r.anonymous_key, ''::bytea) AS anonymous_key,
       ARRAY(SELECT ARRAY[g.joined, g.numbers_to] FROM queue_gaps g
              -- guard: rooms_gaps_of_the_room: g.schedule_id = r.schedule_id => true
              WHERE g.schedule_id = r.schedule_id ORDER BY g.epoch) AS gaps,
       -- guard: rooms_draft_is_not_for_buyers: s.status <> 'DRAFT' AND =>
       -- guard: rooms_draft_concert_is_not_for_buyers: status = 'PUBLISHED' AND c. =>
       -- guard: rooms_concert_that_was_taken_down_is_not_for_buyers: AND c.taken_down_at IS NULL =>
       s.status <> 'DRAFT' AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL AS is_public,
       s.status IN ('CLOSED', 'CANCELLED') AS is_sale_closed,
       extract(epoch FROM least(s.sale_closes_at, s.starts_at))::double precision AS sale_ends_at
  FROM queue_rooms r
  -- guard: rooms_performance_of_the_room => JOIN schedules s ON true
  JOIN schedules s ON s.schedule_id = r.schedule_id
  -- guard: rooms_concert_of_the_schedule => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: rooms_not_off => WHERE true
 WHERE r.mode <> 'off'
   -- guard: rooms_not_days_after_performance
   AND greatest(s.starts_at, s.sale_closes_at) > clock_timestamp() - interval '1 day'
 ORDER BY r.schedule_id
 -- guard: rooms_count_is_bounded: $1 => $1 + 1000
 LIMIT $1;

-- name: departures
-- Up to $2 departures of transactions that an earlier read may have missed; $1 is its seen_to, 0 for all.
-- In the order of the transactions, without long expired passes. At least one row, with seen_to alone
-- when there is none.
-- guard: left_what_commits_late_is_read: pg_snapshot_xmin => pg_snapshot_xmax
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS seen_to, l.schedule_id, l.numbers,
       l.written_by::text::bigint AS written_by,
       extract(epoch FROM l.until_at - clock_timestamp())::double precision AS passes_for_s
  FROM (SELECT 1) one
  LEFT JOIN LATERAL (
       SELECT l.schedule_id, l.numbers, l.written_by, l.until_at
         FROM queue_leavers l
        -- guard: left_only_what_may_be_new => WHERE $1::bigint IS NOT NULL
        WHERE l.written_by >= $1::bigint::text::xid8
          -- guard: left_not_after_passes_ended
          AND l.until_at > clock_timestamp() - interval '1 minute'
        ORDER BY l.written_by, l.entry_id
        -- guard: left_page_limit: $2 => $2 + 9
        LIMIT $2) l ON true;

-- name: purge_departures
-- Deletes departures whose passes have expired.
-- guard: left_kept_while_a_pass_may_be_valid => DELETE FROM queue_leavers l;
DELETE FROM queue_leavers l WHERE l.until_at < clock_timestamp() - interval '10 minutes';

-- name: lock_opening
-- Serializes the opening of waiting rooms, so that their limit holds.
-- guard: rooms_opening_is_serialized => SELECT 1;
SELECT pg_advisory_xact_lock(hashtextextended('boxoffice queue rooms', 0));

-- name: rooms_open
-- The count of open waiting rooms other than that of schedule $1, and that of organization $2 alone.
-- guard: rooms_beside_of_this_organizer: c.organization_id = $2 => $2::uuid IS NOT NULL
SELECT count(*) AS rooms, count(*) FILTER (WHERE c.organization_id = $2) AS own
  FROM queue_rooms r
  -- guard: rooms_beside_performance_of_the_room => JOIN schedules s ON true
  JOIN schedules s ON s.schedule_id = r.schedule_id
  -- guard: rooms_beside_organizer_of_the_room => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: rooms_beside_not_off: mode <> 'off' AND r. =>
 -- guard: rooms_beside_not_itself: r.schedule_id <> $1 => $1::uuid IS NOT NULL
 WHERE r.mode <> 'off' AND r.schedule_id <> $1
   -- guard: rooms_beside_not_days_after_performance => ;
   AND greatest(s.starts_at, s.sale_closes_at) > clock_timestamp() - interval '1 day';

-- name: room
-- The waiting room of schedule $1, also one that is off.
SELECT r.schedule_id, r.mode, r.is_paused, r.is_closed, r.rate_per_s, r.inside_max, r.inside_s,
       r.grace_s, extract(epoch FROM r.opens_at)::double precision AS opens_at, r.seed, r.lobby_size,
       r.epoch, r.numbers_to, r.joined, r.called, r.allows_anonymous,
       coalesce(r.anonymous_key, ''::bytea) AS anonymous_key,
       ARRAY(SELECT ARRAY[g.joined, g.numbers_to] FROM queue_gaps g
              -- guard: room_gaps_of_the_room: g.schedule_id = r.schedule_id => true
              WHERE g.schedule_id = r.schedule_id ORDER BY g.epoch) AS gaps,
       -- guard: room_draft_is_not_for_buyers: s.status <> 'DRAFT' AND =>
       -- guard: room_draft_concert_is_not_for_buyers: status = 'PUBLISHED' AND c. =>
       -- guard: room_concert_that_was_taken_down_is_not_for_buyers: AND c.taken_down_at IS NULL =>
       s.status <> 'DRAFT' AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL AS is_public,
       s.status IN ('CLOSED', 'CANCELLED') AS is_sale_closed,
       extract(epoch FROM least(s.sale_closes_at, s.starts_at))::double precision AS sale_ends_at
  FROM queue_rooms r
  -- guard: room_sale_of_the_room => JOIN schedules s ON true
  JOIN schedules s ON s.schedule_id = r.schedule_id
  -- guard: room_concert_of_the_schedule => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: room_by_id => WHERE $1::uuid IS NOT NULL;
 WHERE r.schedule_id = $1;

-- name: lock_room
-- Locks the waiting room of schedule $1.
-- guard: room_is_locked: FOR NO KEY UPDATE =>
-- guard: room_other_rooms_are_not_locked: r.schedule_id = $1 => $1::uuid IS NOT NULL
SELECT r.schedule_id FROM queue_rooms r WHERE r.schedule_id = $1 FOR NO KEY UPDATE;

-- name: sale_of_organizer
-- The sale opening and concert of schedule $1, if it is of the organizations $2, or of any for null.
SELECT extract(epoch FROM s.sale_opens_at)::double precision AS opens_at, s.concert_id, c.organization_id
  FROM schedules s
  -- guard: room_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: room_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: room_only_for_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
 -- guard: room_operator_too: $2::uuid[] IS NULL OR =>
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: add_room
-- Adds a waiting room that is off, unless schedule $1 has one.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
VALUES ($1, 'off', $2, $3, $4, $5, to_timestamp($6), $7)
-- guard: room_per_schedule: NOTHING => UPDATE SET mode = 'off', rate_per_s = excluded.rate_per_s
ON CONFLICT ON CONSTRAINT queue_rooms_pkey DO NOTHING;

-- name: set_room
-- Stores the organizer's settings for schedule $1.
UPDATE queue_rooms
   SET mode = $2, is_paused = $3, is_closed = $4, rate_per_s = $5, inside_max = $6, inside_s = $7,
       grace_s = $8, opens_at = to_timestamp($9), allows_anonymous = $10,
       -- guard: room_key_stays: coalesce(anonymous_key, => (
       anonymous_key = coalesce(anonymous_key, CASE WHEN $10 THEN uuid_send(gen_random_uuid()) END)
 -- guard: room_only_this_room_is_set => WHERE $1::uuid IS NOT NULL;
 WHERE schedule_id = $1;

-- name: checkpoint
-- Saves the progress by leader $2 of schedule $1: $3 issued numbers, calls up to $4, numbers reserved up
-- to $5. Returns the reserve, or no row after a later leader.
UPDATE queue_rooms
   -- guard: checkpoint_fenced_by_leader_token: leader_token = $2, =>
   -- guard: checkpoint_no_number_is_taken_back: greatest(joined, $3) => $3
   -- guard: checkpoint_no_call_is_taken_back: greatest(called, $4) => $4
   SET leader_token = $2, joined = greatest(joined, $3), called = greatest(called, $4),
       -- guard: checkpoint_no_reserved_number_is_taken_back => numbers_to = $5
       numbers_to = greatest(numbers_to, $5)
 -- guard: checkpoint_of_this_room: schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: checkpoint_by_no_earlier_leader => WHERE schedule_id = $1
 WHERE schedule_id = $1 AND leader_token <= $2
RETURNING numbers_to;

-- name: draw
-- Fixes, once, the size $3 of the draw of schedule $1, by leader $2.
UPDATE queue_rooms
   -- guard: draw_fenced_by_leader_token: leader_token = $2, =>
   SET leader_token = $2, lobby_size = $3, joined = greatest(joined, $3)
 -- guard: draw_of_this_room: schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: draw_by_no_earlier_leader: leader_token <= $2 AND =>
 -- guard: draw_once: lobby_size IS NULL AND =>
 -- guard: draw_only_of_lobby: AND mode = 'lobby' =>
 WHERE schedule_id = $1 AND leader_token <= $2 AND lobby_size IS NULL AND mode = 'lobby'
RETURNING lobby_size;

-- name: begin_epoch
-- Begins the next epoch of schedule $1 by leader $2, with $3 reserved numbers.
SELECT queue_begin_epoch_v1($1, $2, $3) AS begun;

-- name: admit
-- Records admissions, unless their epoch $2 is over.
SELECT ord, is_theirs, is_out, extract(epoch FROM leaves_at)::double precision AS leaves_at
  FROM queue_admit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
 ORDER BY ord;

-- name: record_exits
-- Records exits.
SELECT queue_end_v1($1, $2, $3, $4);

-- name: active_admissions
-- The active admissions of schedule $1 at time $2.
SELECT a.user_id, a.number, a.place, a.inside, a.inside_max,
       (extract(epoch FROM a.leaves_at) * 1000)::bigint AS ends_ms,
       (extract(epoch FROM a.admitted_at) * 1000)::bigint AS admitted_ms
  FROM queue_admissions a
 -- guard: insiders_of_this_room: a.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: insiders_not_out: ended_at IS NULL AND a. =>
 -- guard: insiders_not_expired: a.leaves_at > $2 => $2::timestamptz IS NOT NULL
 WHERE a.schedule_id = $1 AND a.ended_at IS NULL AND a.leaves_at > $2
 ORDER BY a.number;

-- name: admission_records
-- The admissions of numbers $2 of schedule $1.
-- guard: admissions_recorded_exit_is_out: a.ended_at IS NOT NULL => false
SELECT a.number, a.user_id, a.ended_at IS NOT NULL AS is_out,
       extract(epoch FROM a.leaves_at)::double precision AS leaves_at
  FROM queue_admissions a
 -- guard: admissions_of_this_room: a.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: admissions_of_these_numbers => WHERE a.schedule_id = $1 AND $2::bigint[] IS NOT NULL;
 WHERE a.schedule_id = $1 AND a.number = ANY ($2::bigint[]);

-- name: redeem
-- Gives number $2 of schedule $1 to account $3, unless either was redeemed, or the account had its turn.
INSERT INTO queue_redemptions (schedule_id, number, user_id)
SELECT $1, $2, $3
 -- no guard: Head of the conditions below, which are guards.
 WHERE NOT EXISTS (
       SELECT FROM queue_admissions a
        -- guard: redeem_only_turns_of_this_room: a.schedule_id = $1 AND =>
        -- guard: redeem_not_after_a_turn => WHERE a.schedule_id = $1 AND a.user_id = $3 AND false)
        WHERE a.schedule_id = $1 AND a.user_id = $3)
-- guard: redeem_number_once => ;
ON CONFLICT DO NOTHING;

-- name: redemption
-- Whether number $2 of schedule $1 was redeemed, whether by account $3, and whether that had another turn.
SELECT r.user_id IS NOT NULL AS is_redeemed,
       -- guard: redemption_by_this_account => true AS is_theirs,
       coalesce(r.user_id = $3, false) AS is_theirs,
       EXISTS (SELECT FROM queue_admissions a
                -- guard: redemption_turns_of_this_room: a.schedule_id = $1 AND =>
                -- guard: redemption_turns_of_this_account: a.user_id = $3 AND =>
                -- guard: redemption_other_turns: AND a.number <> $2 =>
                WHERE a.schedule_id = $1 AND a.user_id = $3 AND a.number <> $2) AS had_turn
  FROM (SELECT 1) one
  LEFT JOIN queue_redemptions r
    -- guard: redemption_in_this_room: r.schedule_id = $1 AND =>
    -- guard: redemption_of_this_number => ON r.schedule_id = $1
    ON r.schedule_id = $1 AND r.number = $2;

-- name: record_joins
-- Records issued numbers with their accounts.
INSERT INTO queue_joins (schedule_id, numbers, accounts) VALUES ($1, $2, $3);

-- name: pack_joins
-- Packs recorded numbers of schedule $1, $2 at a time and no fewer than $3; returns how many rows.
SELECT queue_pack_joins_v1($1, $2, $3) AS packed;

-- name: number_packs
-- Parts $2 to $3 of the packs of schedule $1.
SELECT p.part, p.buckets, p.counts, p.entries
  FROM queue_packs p
 -- guard: packs_of_this_room: p.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: packs_of_these_parts: p.part BETWEEN $2 AND $3 => $2::int + $3::int >= 0
 WHERE p.schedule_id = $1 AND p.part BETWEEN $2 AND $3
 ORDER BY p.part, p.pack_id;

-- name: spent_numbers
-- Up to $3 numbers of schedule $1 above $2 that were admitted, and so are spent.
SELECT a.number, a.user_id
  FROM queue_admissions a
 -- guard: spent_in_this_room: a.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: spent_each_number_once: a.number > $2 => $2::bigint IS NOT NULL
 WHERE a.schedule_id = $1 AND a.number > $2
 ORDER BY a.number
 -- no guard: Bounds the memory; the next read continues.
 LIMIT $3;

-- name: issued_in_gaps
-- The recorded numbers of schedule $1 in gaps, which are above $2 and up to $3.
SELECT n.number
  FROM queue_joins j
 CROSS JOIN LATERAL unnest(j.numbers) n (number)
  JOIN unnest($2::bigint[], $3::bigint[]) g (after_number, to_number)
    -- guard: gaps_above_their_beginning: n.number > g.after_number AND =>
    -- guard: gaps_up_to_their_end: AND n.number <= g.to_number =>
    ON n.number > g.after_number AND n.number <= g.to_number
 -- guard: given_in_this_room: j.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE j.schedule_id = $1;
