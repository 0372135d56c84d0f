-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: offers
-- The offers of a schedule that is shown to buyers ($3), or of organizations $2 (null: of all).
SELECT s.schedule_id, s.currency, s.has_offers, coalesce(o.version, 0) AS version, o.public_from,
       coalesce(o.fee_minor, 0) AS fee_minor, p.price_types, h.channels, b.presales, b.has_codes, a.seats,
       g.grades
  FROM schedules s
  -- no guard: { The concert and the terms of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN schedule_offers o ON o.schedule_id = s.schedule_id
  -- guard: }
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object(
                  'code', p.code, 'name', p.name, 'name_ko', p.name_ko, 'note', p.note, 'note_ko', p.note_ko,
                  'grades', p.grades, 'reduction', json_build_object(
                      'percent_off', p.percent_off, 'amount_off_minor', p.amount_off_minor))
                       ORDER BY p.ordinal)::text AS price_types
         FROM price_types p
        -- guard: offers_price_types_of_the_schedule => WHERE true) p
        WHERE p.schedule_id = s.schedule_id) p
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('code', h.code, 'name', h.name, 'quota', h.quota,
                                         'is_default', h.is_default) ORDER BY h.code)::text AS channels
         FROM sales_channels h
        -- guard: offers_channels_of_the_schedule => WHERE true) h
        WHERE h.schedule_id = s.schedule_id) h
 CROSS JOIN LATERAL (
       SELECT count(*) > 0 AS has_codes,
              (json_agg(json_build_object('name', b.name, 'opens_at', b.valid_from, 'closes_at', b.valid_until)
                        -- guard: offers_shown_presales_are_presales: WHERE b.is_presale => WHERE true
                        ORDER BY b.valid_from) FILTER (WHERE b.is_presale))::text AS presales
         FROM code_batches b
        -- guard: offers_batches_of_the_schedule: b.schedule_id = s.schedule_id AND =>
        -- guard: offers_disabled_presale_is_not_shown: AND b.disabled_at IS NULL =>
        WHERE b.schedule_id = s.schedule_id AND b.disabled_at IS NULL) b
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object(
                  'seat_id', a.seat_id, 'partner_id', a.partner_id, 'is_accessible', a.is_accessible,
                  'note', a.note, 'note_ko', a.note_ko) ORDER BY a.seat_id)::text AS seats
         FROM seat_attributes a
        -- guard: offers_attributes_of_the_schedule => WHERE true) a
        WHERE a.schedule_id = s.schedule_id) a
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_array(g.grade, g.price_minor)
                       ORDER BY g.price_minor DESC, g.grade)::text AS grades
         -- no guard: Each price once; repetitions would only be long.
         FROM (SELECT DISTINCT e.grade, e.price_minor FROM seats e
                -- guard: offers_prices_of_the_schedule => WHERE true) g) g
                WHERE e.schedule_id = s.schedule_id) g) g
 -- guard: offers_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
   -- guard: offers_of_a_draft_are_its_organizers: s.status <> 'DRAFT' AND c.status = 'PUBLISHED' => true
   AND (($3 AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED')
        -- guard: offers_only_of_their_organization: c.organization_id = ANY ($2::uuid[]) => true
        OR (NOT $3 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))));

-- name: lock_schedule
-- Lock a schedule of organizations $2 against changes; its concert and organization.
SELECT s.concert_id, c.organization_id
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: offers_change_only_of_its_organization: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: offers_two_editors_wait_for_each_other => ;
   FOR NO KEY UPDATE OF s;

-- name: lock_terms
-- Wait for the holds that are being decided, and keep others waiting until the commit; the version.
SELECT o.version FROM schedule_offers o
 -- guard: offers_change_waits_for_holds: FOR UPDATE =>
 WHERE o.schedule_id = $1 FOR UPDATE;

-- name: settle
-- Return the uses that have ended.
SELECT offers_settle_v1($1, clock_timestamp());

-- name: taken
-- How many seats each channel of a schedule has held or sold.
SELECT o.channel, sum(o.seats)::bigint AS seats
  FROM reservation_offers o
 -- guard: taken_of_this_schedule: o.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 WHERE o.schedule_id = $1 AND o.channel IS NOT NULL AND o.seats > 0
 GROUP BY o.channel;

-- name: used_channels
-- The channels of batches of codes that are neither disabled nor over.
-- no guard: Each channel once; the caller makes a set of them.
SELECT DISTINCT b.channel
  FROM code_batches b
 -- guard: used_channels_of_this_schedule: b.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 WHERE b.schedule_id = $1 AND b.channel IS NOT NULL
   -- guard: used_channels_of_codes_that_hold
   AND b.disabled_at IS NULL
   -- guard: used_channels_of_codes_that_have_not_ended
   AND (b.valid_until IS NULL OR b.valid_until > clock_timestamp());

-- name: channel
-- A channel of a schedule.
SELECT h.code FROM sales_channels h
 -- guard: channel_of_this_schedule: h.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: channel_by_its_code: AND h.code = $2 => AND $2::text IS NOT NULL
 WHERE h.schedule_id = $1 AND h.code = $2;

-- name: seats
-- The seats of a schedule in the order of its map.
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade
  FROM seats s
 -- guard: seats_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
 ORDER BY s.ordinal;

-- name: put_terms
-- Write the terms of a schedule; the new version.
INSERT INTO schedule_offers AS o (schedule_id, changed_at, public_from, fee_minor, is_limited)
VALUES ($1, clock_timestamp(), $2, $3, $4)
-- no guard: Without it the primary key refuses the second terms.
ON CONFLICT (schedule_id) DO UPDATE
   SET version = o.version + 1, changed_at = excluded.changed_at, public_from = excluded.public_from,
       fee_minor = excluded.fee_minor, is_limited = excluded.is_limited
RETURNING o.version;

-- name: begin_terms
-- Let a schedule have terms without any effect, whose row codes and pairs of seats need.
INSERT INTO schedule_offers (schedule_id, changed_at) VALUES ($1, clock_timestamp())
-- no guard: The usual case: there are terms.
ON CONFLICT (schedule_id) DO NOTHING;

-- name: count_change
-- The version after a change of what is said about seats.
UPDATE schedule_offers o SET version = o.version + 1, changed_at = clock_timestamp()
 -- guard: count_change_of_this_schedule: o.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE o.schedule_id = $1;

-- name: drop_price_types
-- Drop the price types of a schedule; reservations keep their prices.
DELETE FROM price_types p
 -- guard: drop_price_types_of_this_schedule: p.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE p.schedule_id = $1;

-- name: add_price_types
-- Write the price types of a schedule in their order.
INSERT INTO price_types (
    schedule_id, code, ordinal, percent_off, amount_off_minor, grades, name, name_ko, note, note_ko)
SELECT $1, t.code, t.at, t.percent_off, t.amount_off_minor, t.grades, t.name, t.name_ko, t.note, t.note_ko
  FROM json_to_recordset($2::text::json) t (
       code text, at integer, percent_off integer, amount_off_minor bigint, grades text [], name text,
       name_ko text, note text, note_ko text);

-- name: drop_channels
-- Drop the channels of a schedule.
DELETE FROM sales_channels h
 -- guard: drop_channels_of_this_schedule: h.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE h.schedule_id = $1;

-- name: add_channels
-- Write the channels of a schedule with the seats that they have sold.
INSERT INTO sales_channels (schedule_id, code, name, is_default, quota, taken)
SELECT $1, h.code, h.name, h.is_default, h.quota, h.taken
  FROM unnest($2::text[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[])
       h (code, name, is_default, quota, taken);

-- name: mark
-- Note in a schedule's row whether its offers decide holds.
UPDATE schedules s
   SET has_offers =
       -- guard: mark_terms_decide: EXISTS (SELECT FROM schedule_offers o WHERE o.schedule_id = $1 AND (o.public_from IS NOT NULL OR o.fee_minor > 0)) => false
       EXISTS (SELECT FROM schedule_offers o WHERE o.schedule_id = $1 AND (o.public_from IS NOT NULL OR o.fee_minor > 0))
       -- guard: mark_price_types_decide
       OR EXISTS (SELECT FROM price_types p WHERE p.schedule_id = $1)
       -- guard: mark_channels_decide
       OR EXISTS (SELECT FROM sales_channels h WHERE h.schedule_id = $1)
       -- guard: mark_codes_decide
       OR EXISTS (SELECT FROM code_batches b WHERE b.schedule_id = $1)
       -- guard: mark_pairs_decide
       OR EXISTS (SELECT FROM seat_attributes a WHERE a.schedule_id = $1 AND a.partner_id IS NOT NULL)
 -- guard: mark_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: drop_seats
-- Drop what is said about the seats of a schedule.
DELETE FROM seat_attributes a
 -- guard: drop_seats_of_this_schedule: a.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE a.schedule_id = $1;

-- name: add_seats
-- Write what is said about seats.
INSERT INTO seat_attributes (schedule_id, seat_id, partner_id, is_accessible, note, note_ko)
SELECT $1, a.seat_id, a.partner_id, a.is_accessible, a.note, a.note_ko
  FROM unnest($2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[])
       a (seat_id, partner_id, is_accessible, note, note_ko);

-- name: add_batch
-- Write a batch of codes, unless its key was used before.
INSERT INTO code_batches (
    schedule_id, batch_id, created_at, created_by, valid_from, valid_until, amount_off_minor, percent_off,
    uses_max, seats_max, person_uses_max, codes, is_presale, is_shared, channel, name, idempotency_key)
VALUES ($1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
-- guard: codes_key_is_used_once
ON CONFLICT ON CONSTRAINT code_batches_key_unique DO NOTHING
RETURNING batch_id;

-- name: add_codes
-- Write the codes of a batch, and return how many are new: a code is of one batch.
WITH added AS (
    INSERT INTO offer_codes (schedule_id, code_hash, batch_id, uses_max, suffix)
    SELECT $1, c.code_hash, $2, $3, c.suffix FROM unnest($4::bytea[], $5::text[]) c (code_hash, suffix)
    -- no guard: Without it the primary key refuses the statement; the caller counts.
    ON CONFLICT (schedule_id, code_hash) DO NOTHING
    RETURNING 1
)
SELECT count(*) AS added FROM added;

-- name: batches
-- The batches of codes of a schedule of organizations $2, the newest first, with their live uses as counted.
SELECT b.batch_id, b.name, b.created_at, b.disabled_at, b.valid_from, b.valid_until, b.amount_off_minor,
       b.percent_off, b.uses_max, b.seats_max, b.person_uses_max, b.codes, b.is_presale, b.is_shared, b.channel,
       u.uses
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
  -- no guard: The batches of the schedule.
  JOIN code_batches b ON b.schedule_id = s.schedule_id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(k.taken), 0)::bigint AS uses FROM offer_codes k
        -- guard: batches_uses_of_the_batch: AND k.batch_id = b.batch_id =>
        WHERE k.schedule_id = b.schedule_id AND k.batch_id = b.batch_id) u
 -- guard: batches_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: batches_only_of_its_organization: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
 ORDER BY b.created_at DESC, b.batch_id DESC;

-- name: codes
-- The codes of a batch, by what is shown of them.
SELECT k.suffix, k.taken, k.uses_max, k.disabled_at
  FROM offer_codes k
 -- guard: codes_of_this_batch: AND k.batch_id = $2 => AND $2::uuid IS NOT NULL
 WHERE k.schedule_id = $1 AND k.batch_id = $2
 ORDER BY k.suffix;

-- name: disable_batch
-- Disable all codes of a batch; the first time is kept.
UPDATE code_batches b SET disabled_at = coalesce(b.disabled_at, clock_timestamp())
 -- guard: disable_this_batch: AND b.batch_id = $2 => AND $2::uuid IS NOT NULL
 WHERE b.schedule_id = $1 AND b.batch_id = $2
RETURNING b.batch_id;

-- name: disable_code
-- Disable one code of a batch; the first time is kept.
UPDATE offer_codes k SET disabled_at = coalesce(k.disabled_at, clock_timestamp())
 -- guard: disable_this_code: AND k.code_hash = $3 => AND $3::bytea IS NOT NULL
 WHERE k.schedule_id = $1 AND k.batch_id = $2 AND k.code_hash = $3
RETURNING k.batch_id;

-- name: code
-- What a code of a schedule gives, unless it is disabled or has ended.
SELECT b.name, b.percent_off, b.amount_off_minor, b.is_presale, b.valid_from, b.valid_until, b.seats_max
  FROM offer_codes k
  -- no guard: The batch of the code, by its primary key.
  JOIN code_batches b ON b.schedule_id = k.schedule_id AND b.batch_id = k.batch_id
 -- guard: code_by_its_digest: AND k.code_hash = $2 => AND $2::bytea IS NOT NULL
 WHERE k.schedule_id = $1 AND k.code_hash = $2
   -- guard: code_that_is_disabled_gives_nothing
   AND k.disabled_at IS NULL AND b.disabled_at IS NULL
   -- guard: code_that_has_ended_gives_nothing
   AND (b.valid_until IS NULL OR b.valid_until > clock_timestamp());
