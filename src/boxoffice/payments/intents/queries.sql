-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: open
-- Decide a batch of intents to pay reservations of one schedule.
SELECT ord, outcome, intent_id, seat_ids, seat_versions, seats_until
  FROM payments_open_intents_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)
 ORDER BY ord;

-- name: open_top_ups
-- Decide a batch of intents to top up wallets.
SELECT ord, outcome, intent_id, NULL::text[] AS seat_ids
  FROM payments_open_top_ups_v1($1, $2, $3, $4, $5, $6, $7)
 ORDER BY ord;

-- name: find_opened
-- Which intents these keys made, for requests whose answer was lost.
SELECT c.ord::integer AS ord,
       -- guard: find_opened_fingerprint_is_compared => 'replayed' AS outcome,
       CASE WHEN i.fingerprint = c.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
       i.intent_id, NULL::text[] AS seat_ids
  FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY c (user_id, key, fingerprint, ord)
  -- guard: find_opened_of_this_person: i.user_id = c.user_id AND =>
  -- guard: find_opened_by_this_key: AND i.idempotency_key = c.key =>
  JOIN payment_intents i ON i.user_id = c.user_id AND i.idempotency_key = c.key
 ORDER BY c.ord;

-- name: begin
-- Begin a batch of confirmations.
SELECT ord, outcome, confirm_key, seat_ids, seat_versions, seats_until
  FROM payments_begin_confirm_v1($1, $2, $3, $4, $5, $6, $7)
 ORDER BY ord;

-- name: find_begun
-- Which of these calls were begun, for requests whose answer was lost.
SELECT c.ord::integer AS ord, 'begun' AS outcome, p.idempotency_key AS confirm_key,
       NULL::text[] AS seat_ids
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY c (user_id, call_id, ord)
  -- guard: find_begun_by_this_call: AND p.call_id = c.call_id =>
  JOIN provider_calls p ON p.user_id = c.user_id AND p.call_id = c.call_id
 ORDER BY c.ord;

-- name: renew
-- Renew a batch of fences.
SELECT ord, outcome, seat_ids, seat_versions, seats_until
  FROM payments_renew_fences_v1($1, $2, $3, $4, $5)
 ORDER BY ord;

-- name: change
-- Change the status of a batch of intents without money.
SELECT ord, outcome, seat_ids, seat_versions, seats_until
  FROM payments_change_intents_v1($1, $2, $3, $4, $5, $6, $7, $8)
 ORDER BY ord;

-- name: settle
-- Settle a batch of captures for reservations of one schedule.
SELECT ord, outcome, seat_ids, seat_versions
  FROM payments_settle_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
 ORDER BY ord;

-- name: settle_top_ups
-- Settle a batch of captures for top-ups.
SELECT ord, outcome, NULL::text[] AS seat_ids
  FROM payments_settle_top_ups_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
 ORDER BY ord;

-- name: get
-- An intent of a person; an open one whose hold or session is over is shown as expired.
SELECT i.user_id, i.intent_id, i.schedule_id, i.reservation_id, i.payment_id, i.purpose, i.provider,
       i.amount_minor, i.currency, i.attempts, i.payment_key, i.confirm_key, i.reason, i.client,
       i.session_ends_at, greatest(i.hold_ends_at, i.fenced_until) AS hold_ends_at, i.begun_at, i.created_at,
       i.deposit_secret,
       -- guard: intent_over_is_shown_as_expired: AND coalesce(i.hold_ends_at, i.session_ends_at) <= clock_timestamp() => AND false
       CASE WHEN i.status = 'OPEN' AND coalesce(i.hold_ends_at, i.session_ends_at) <= clock_timestamp()
            THEN 'EXPIRED' ELSE i.status END AS status,
       i.session_ends_at <= clock_timestamp() AS session_is_over
  FROM payment_intents i
 -- guard: intent_get_only_own: i.user_id = $1 AND => $1::uuid IS NOT NULL AND
 WHERE i.user_id = $1 AND i.intent_id = $2;

-- name: of_reservation
-- The intent by which a reservation is being paid.
SELECT r.intent_id
  FROM reservations r
 -- guard: intent_of_own_reservation_only: AND r.user_id = $3 => AND $3::uuid IS NOT NULL
 WHERE r.schedule_id = $1 AND r.reservation_id = $2 AND r.user_id = $3;

-- name: payable
-- The amount due for a reservation of a person: what a provider must accept before an intent is made.
SELECT r.amount_minor, r.currency
  FROM reservations r
 -- guard: payable_only_own: r.user_id = $3 => $3::uuid IS NOT NULL
 WHERE r.schedule_id = $1 AND r.reservation_id = $2 AND r.user_id = $3
 UNION ALL
SELECT a.amount_minor, a.currency
  FROM reservations_archive a
 -- guard: payable_own_archived: AND a.user_id = $3 =>
 WHERE a.schedule_id = $1 AND a.reservation_id = $2 AND a.user_id = $3;

-- name: keep_client
-- Keep what the browser needs, and the payment that the provider has made already; the first answer stays.
UPDATE payment_intents i
   SET client = $3, payment_key = coalesce(i.payment_key, $4)
 -- guard: keep_client_of_this_intent: AND i.intent_id = $2 => AND $2::uuid IS NOT NULL
 -- guard: keep_client_first_answer_stays: AND i.client IS NULL =>
 WHERE i.user_id = $1 AND i.intent_id = $2 AND i.client IS NULL;

-- name: note_call
-- Write a call before it is sent.
INSERT INTO provider_calls (user_id, call_id, intent_id, begun_at, provider, operation, idempotency_key)
VALUES ($1, $2, $3, clock_timestamp(), $4, $5, $6);

-- name: note_answer
-- Write what a provider answered to a call; the first answer stays.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
VALUES ($1, $2, clock_timestamp(), $3, $4, $5)
    -- no guard: Without it the primary key refuses the second answer.
    ON CONFLICT ON CONSTRAINT provider_answers_pkey DO NOTHING;
