-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: open
-- Decide a batch of intents to pay reservations of one schedule.
WITH decided AS MATERIALIZED (
    SELECT ord, outcome, intent_id AS decided_id, seat_ids, seat_versions, seats_until
      FROM payments_open_intents_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
SELECT d.ord, d.outcome, d.decided_id, d.seat_ids, d.seat_versions, d.seats_until, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($3, ARRAY(SELECT d.decided_id FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: open_top_ups
-- Decide a batch of intents to top up wallets.
WITH decided AS MATERIALIZED (
    SELECT ord, outcome, intent_id AS decided_id
      FROM payments_open_top_ups_v1($1, $2, $3, $4, $5, $6, $7)
)
SELECT d.ord, d.outcome, d.decided_id, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($2, ARRAY(SELECT d.decided_id FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: find_opened
-- Which intents these keys made, for requests whose answer was lost.
SELECT c.ord::integer AS ord,
       -- guard: find_opened_fingerprint_is_compared => 'replayed' AS outcome,
       CASE WHEN i.fingerprint = c.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
       i.intent_id AS decided_id
  FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY c (user_id, key, fingerprint, ord)
  -- guard: find_opened_of_this_person: i.user_id = c.user_id AND =>
  -- guard: find_opened_by_this_key: AND i.idempotency_key = c.key =>
  JOIN payment_intents i ON i.user_id = c.user_id AND i.idempotency_key = c.key
 ORDER BY c.ord;

-- name: begin
-- Begin a batch of confirmations.
WITH decided AS MATERIALIZED (
    SELECT ord, outcome, seat_ids, seat_versions, seats_until
      FROM payments_begin_confirm_v1($1, $2, $3, $4, $5, $6, $7)
)
SELECT d.ord, d.outcome, d.seat_ids, d.seat_versions, d.seats_until, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($2, ARRAY(SELECT ($3::uuid[])[d.ord] FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: find_begun
-- Which of these calls were begun, for requests whose answer was lost.
SELECT c.ord::integer AS ord, 'begun' AS outcome, p.idempotency_key AS confirm_key
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
WITH decided AS MATERIALIZED (
    SELECT ord, outcome, seat_ids, seat_versions, seats_until
      FROM payments_change_intents_v1($1, $2, $3, $4, $5, $6, $7, $8)
)
SELECT d.ord, d.outcome, d.seat_ids, d.seat_versions, d.seats_until, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($2, ARRAY(SELECT ($3::uuid[])[d.ord] FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: settle
-- Settle a batch of captures for reservations of one schedule.
WITH decided AS MATERIALIZED (
    SELECT ord, outcome, seat_ids, seat_versions
      FROM payments_settle_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
)
SELECT d.ord, d.outcome, d.seat_ids, d.seat_versions, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($2, ARRAY(SELECT ($3::uuid[])[d.ord] FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: settle_top_ups
-- Settle a batch of captures for top-ups.
WITH decided AS MATERIALIZED (
    SELECT ord, outcome
      FROM payments_settle_top_ups_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
)
SELECT d.ord, d.outcome, i.*
  FROM decided d
  -- no guard: { Joins each command with its intent as it is afterwards; the argument is read after the decision.
  LEFT JOIN payments_show_intents_v1($1, ARRAY(SELECT ($2::uuid[])[d.ord] FROM decided d ORDER BY d.ord)) i
    ON i.place = d.ord
  -- guard: }
 ORDER BY d.ord;

-- name: payable
-- The amounts due for reservations of people: what a provider must accept before an intent is made.
SELECT ord, amount_minor, currency FROM payments_payable_v1($1, $2, $3);

-- name: get
-- Intents of people.
SELECT i.* FROM payments_show_intents_v1($1, $2) i;

-- name: of_reservation
-- The intent by which a reservation is being paid.
SELECT r.intent_id
  FROM reservations r
 -- guard: intent_of_own_reservation_only: AND r.user_id = $3 => AND $3::uuid IS NOT NULL
 WHERE r.schedule_id = $1 AND r.reservation_id = $2 AND r.user_id = $3;

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

-- name: note_answers
-- Write what providers answered to calls; the first answer stays.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
SELECT a.user_id, a.call_id, clock_timestamp(), a.outcome, a.status, a.body
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[])
       a (user_id, call_id, outcome, status, body)
 ORDER BY a.user_id, a.call_id
    -- no guard: Without it the primary key refuses the second answer.
    ON CONFLICT ON CONSTRAINT provider_answers_pkey DO NOTHING;
