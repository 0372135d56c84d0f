-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: insert
-- Keep a batch of notices, each once, to be handled at once; returns which of them are new.
INSERT INTO provider_notices (
    provider, notice_id, received_at, due_at, kind, grade, order_id, payment_key, dispute_key, secret, body)
SELECT n.provider, n.notice_id, clock_timestamp(), clock_timestamp(), n.kind, n.grade, n.order_id,
       n.payment_key, n.dispute_key, n.secret, n.body
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::bytea[])
       n (provider, notice_id, kind, grade, order_id, payment_key, dispute_key, secret, body)
 ORDER BY n.provider, n.notice_id
    -- no guard: Without it the primary key refuses the batch.
    ON CONFLICT ON CONSTRAINT provider_notices_pkey DO NOTHING
RETURNING provider, notice_id;

-- name: find
-- Which of these notices are kept, for a batch whose answer was lost.
SELECT n.provider, n.notice_id
  FROM unnest($1::text[], $2::text[]) k (provider, notice_id)
  -- guard: find_notice_by_its_id: AND n.notice_id = k.notice_id =>
  JOIN provider_notices n ON n.provider = k.provider AND n.notice_id = k.notice_id;

-- name: due
-- Notices of a provider that are due, the longest waiting first; without those in $2, which are being handled.
SELECT n.provider, n.notice_id, n.received_at, n.kind, n.grade, n.order_id, n.payment_key, n.dispute_key,
       n.secret, n.tries, clock_timestamp() AS now
  FROM provider_notices n
 -- guard: notice_is_handled_once: n.handled_at IS NULL AND =>
 -- guard: notice_waits_until_it_is_due: AND n.due_at <= clock_timestamp() =>
 WHERE n.handled_at IS NULL AND n.due_at <= clock_timestamp()
   -- guard: notices_of_one_provider: n.provider = $1 => $1::text IS NOT NULL
   AND n.provider = $1
   -- no guard: Saves a second look at what is being handled; handling it twice has no further effect.
   AND n.notice_id <> ALL ($2::text[])
 ORDER BY n.due_at
 -- no guard: Bounds the work of one round.
 LIMIT $3;

-- name: handled
-- A notice has had its effect, or will never have one; by the cashier of token $3.
UPDATE provider_notices n SET handled_at = clock_timestamp(), due_at = NULL
 -- guard: handled_only_this_notice: AND n.notice_id = $2 => AND $2::text IS NOT NULL
 WHERE n.provider = $1 AND n.notice_id = $2
   -- no guard: The first time is kept.
   AND n.handled_at IS NULL
   -- guard: frozen_cashier_ends_no_notice: AND l.token = $3 => AND $3::bigint IS NOT NULL
   AND EXISTS (SELECT FROM leases l WHERE l.role = 'cashier' AND l.token = $3);

-- name: postpone
-- Try a notice again in $4 seconds; by the cashier of token $3.
UPDATE provider_notices n SET due_at = clock_timestamp() + make_interval(secs => $4), tries = n.tries + 1
 -- guard: postpone_only_this_notice: AND n.notice_id = $2 => AND $2::text IS NOT NULL
 WHERE n.provider = $1 AND n.notice_id = $2
   -- guard: postponed_notice_stays_handled
   AND n.handled_at IS NULL
   -- guard: frozen_cashier_postpones_no_notice: AND l.token = $3 => AND $3::bigint IS NOT NULL
   AND EXISTS (SELECT FROM leases l WHERE l.role = 'cashier' AND l.token = $3);

-- name: intent_of_payment
-- The intent that a provider's payment pays.
SELECT i.user_id, i.intent_id
  FROM payment_intents i
 -- guard: notice_intent_by_its_payment: AND i.payment_key = $2 => AND $2::text IS NOT NULL
 WHERE i.provider = $1 AND i.payment_key = $2;

-- name: drop_old
-- Drop notices that were handled more than $1 seconds ago, at most $2 of them.
SELECT notices_drop_old_v1($1, $2) AS dropped;
