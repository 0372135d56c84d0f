-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: due
-- Work that is due: of provider $1, or (empty) work that calls none of the providers $2; without the subjects
-- in $3, which are in progress.
SELECT w.kind, w.subject_id, w.user_id, w.due_at, w.tries, w.provider, clock_timestamp() AS now
  FROM (SELECT k.kind, k.subject_id, k.user_id, k.due_at, k.tries,
               -- no guard: The kinds that call a provider, and where each says which.
               CASE WHEN k.kind = ANY ($4::text[]) THEN coalesce(i.provider, r.provider) END AS provider
          FROM cashier_work k
          -- no guard: { The intent or the refund that the work is about.
          LEFT JOIN payment_intents i ON i.user_id = k.user_id AND i.intent_id = k.subject_id
          LEFT JOIN refunds r ON r.user_id = k.user_id AND r.refund_id = k.subject_id
         -- guard: }
         -- guard: work_waits_until_it_is_due
         WHERE k.due_at <= clock_timestamp()
           -- no guard: Saves a second look at what is in progress; doing it twice has no further effect.
           AND k.subject_id <> ALL ($3::uuid[])
        OFFSET 0) w
 -- guard: work_of_a_provider_is_its_own: ELSE w.provider = $1 END => ELSE w.provider = ANY ($2) END
 WHERE CASE WHEN $1::text = '' THEN (w.provider = ANY ($2::text[])) IS NOT TRUE ELSE w.provider = $1 END
 ORDER BY w.due_at
 -- no guard: Bounds the work of one round.
 LIMIT $5;

-- name: done
-- Work that needs nothing more, unless it has been planned anew; by the cashier of token $4.
DELETE FROM cashier_work w
 -- guard: done_only_this_work: AND w.subject_id = $2 => AND $2::uuid IS NOT NULL
 WHERE w.kind = $1 AND w.subject_id = $2
   -- guard: work_that_was_planned_anew_stays: w.due_at = $3 => $3::timestamptz IS NOT NULL
   AND w.due_at = $3
   -- guard: frozen_cashier_ends_no_work: AND l.token = $4 => AND $4::bigint IS NOT NULL
   AND EXISTS (SELECT FROM leases l WHERE l.role = 'cashier' AND l.token = $4);

-- name: postpone
-- Have work done in $5 seconds, unless it has been planned anew; by the cashier of token $4.
UPDATE cashier_work w SET due_at = clock_timestamp() + make_interval(secs => $5), tries = w.tries + 1
 -- guard: postpone_only_this_work: AND w.subject_id = $2 => AND $2::uuid IS NOT NULL
 WHERE w.kind = $1 AND w.subject_id = $2
   -- guard: postponed_work_that_was_planned_anew_stays: w.due_at = $3 => $3::timestamptz IS NOT NULL
   AND w.due_at = $3
   -- guard: frozen_cashier_postpones_no_work: AND l.token = $4 => AND $4::bigint IS NOT NULL
   AND EXISTS (SELECT FROM leases l WHERE l.role = 'cashier' AND l.token = $4);

-- name: lengths
-- How much work is due and how long the oldest has waited, by kind; notices are a kind.
SELECT w.kind, count(*) AS length, extract(epoch FROM clock_timestamp() - min(w.due_at))::float8 AS age_s
  FROM (SELECT k.kind, k.due_at FROM cashier_work k
        UNION ALL
        SELECT 'notice', n.due_at FROM provider_notices n
         -- no guard: The index of notices that wait.
         WHERE n.handled_at IS NULL) w
 -- guard: only_due_work_is_counted
 WHERE w.due_at <= clock_timestamp()
 GROUP BY w.kind;

-- name: wake_refunds
-- Have the refunds of a provider's payment that are owed looked at now: a notice was about it.
UPDATE cashier_work w SET due_at = clock_timestamp()
  FROM refunds r
 -- guard: woken_refunds_of_this_payment: AND r.payment_key = $2 => AND $2::text IS NOT NULL
 WHERE r.provider = $1 AND r.payment_key = $2
   -- guard: woken_refunds_of_this_person: r.user_id = $3 => $3::uuid IS NOT NULL
   AND r.user_id = $3
   -- no guard: What is not owed has no work.
   AND r.status = 'PENDING'
   -- guard: woken_work_of_this_refund: AND w.subject_id = r.refund_id =>
   AND w.kind = 'refund' AND w.subject_id = r.refund_id;
