-- Keys of requests that created a concert or a schedule; they stay when it is deleted, so that a late repetition
-- creates nothing.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: claim_key
-- The key of a request for the id of what it creates; no row where the key has one. It waits for a transaction that
-- is claiming the same key.
INSERT INTO creation_keys (organization_id, kind, creation_key, fingerprint, created_id)
VALUES ($1, $2, $3, $4, $5)
-- guard: creation_key_is_used_once
ON CONFLICT ON CONSTRAINT creation_keys_pkey DO NOTHING
RETURNING created_id;

-- name: created_before
-- What the first request with this key was, and created.
SELECT k.created_id, k.fingerprint
  FROM creation_keys k
 -- guard: creation_key_is_per_organization: k.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: creation_key_is_per_kind: k.kind = $2 => $2::text IS NOT NULL
 -- guard: creation_key_is_compared: k.creation_key = $3 => $3::text IS NOT NULL
 WHERE k.organization_id = $1 AND k.kind = $2 AND k.creation_key = $3;

-- name: concert
-- A concert as its creation shows it.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email
  FROM concerts c
 -- guard: created_concert_by_id => WHERE $1::uuid IS NOT NULL
 WHERE c.concert_id = $1;

-- name: schedule
-- A schedule as its creation shows it.
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status, s.currency,
       s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.doors_at, s.version, s.changed_at, s.refundable_until, s.cancelled_at, s.postponed_from,
       to_json(v)::text AS venue
  FROM schedules s
  -- guard: created_schedule_at_its_venue => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 -- guard: created_schedule_by_id => WHERE $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;
