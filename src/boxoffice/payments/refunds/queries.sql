-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: sale
-- A payment with its tickets in the order of the seats, the policy that it was sold under, and the database's
-- time. Of the person $3 or of the organizations $4, where these are given.
SELECT p.payment_id, p.reservation_id, p.user_id, p.amount_minor, p.currency, p.method, p.created_at,
       s.starts_at, s.changed_at, s.refundable_until, s.status = 'CANCELLED' AS is_cancelled, v.time_zone,
       f.policy::text AS policy, c.organization_id, c.concert_id, t.ticket_ids, t.prices_minor, t.fees_minor,
       t.are_live, clock_timestamp() AS now
  FROM payments p
  -- no guard: { The schedule, the concert and the venue of the payment, by their primary keys.
  JOIN schedules s ON s.schedule_id = p.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: }
  -- guard: sale_policy_of_this_version: AND f.version = p.refund_policy_version =>
  LEFT JOIN refund_policies f ON f.schedule_id = p.schedule_id AND f.version = p.refund_policy_version
 CROSS JOIN LATERAL (
      SELECT array_agg(t.ticket_id ORDER BY n.at) AS ticket_ids,
             array_agg(coalesce(o.price_minor, e.price_minor) ORDER BY n.at) AS prices_minor,
             array_agg(coalesce(o.fee_minor, 0) ORDER BY n.at) AS fees_minor,
             array_agg(t.status = 'VALID' ORDER BY n.at) AS are_live
        FROM unnest(p.ticket_ids) WITH ORDINALITY n (ticket_id, at)
        -- no guard: { The tickets of the payment and their seats, by their primary keys.
        JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.ticket_id
        JOIN seats e ON e.schedule_id = t.schedule_id AND e.seat_id = t.seat_id
        LEFT JOIN LATERAL (
             SELECT x.price_minor - x.discount_minor AS price_minor, x.fee_minor
               FROM reservations r
               JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
              CROSS JOIN LATERAL unnest(r.seat_ids, o.prices_minor, o.discounts_minor, o.fees_minor)
                         x (seat_id, price_minor, discount_minor, fee_minor)
              WHERE r.schedule_id = p.schedule_id AND r.reservation_id = p.reservation_id
                AND x.seat_id = t.seat_id
             OFFSET 0) o ON true
        -- guard: }
 ) t
 -- guard: sale_by_id: p.payment_id = $2 => $2::uuid IS NOT NULL
 WHERE p.schedule_id = $1 AND p.payment_id = $2
   -- guard: sale_only_own: p.user_id = $3 => true
   AND ($3::uuid IS NULL OR p.user_id = $3)
   -- guard: sale_only_of_its_organizer: c.organization_id = ANY ($4::uuid[]) => true
   AND ($4::uuid[] IS NULL OR c.organization_id = ANY ($4::uuid[]));

-- name: decide
-- Decide a refund.
SELECT outcome, seat_ids, seat_versions
  FROM refunds_decide_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: find_by_key
-- A refund of a person by its key.
SELECT f.*, f.fingerprint = $3 AS is_same
  FROM refunds f
 -- guard: find_refund_of_this_person: f.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: find_refund_by_this_key: f.idempotency_key = $2 => $2::text IS NOT NULL
 WHERE f.user_id = $1 AND f.idempotency_key = $2;

-- name: get
-- A refund of a person.
SELECT f.*
  FROM refunds f
 -- guard: refund_only_own_is_shown: f.user_id = $1 => $1::uuid IS NOT NULL
 WHERE f.user_id = $1 AND f.refund_id = $2;

-- name: of_transaction
-- The refund of a person that moved as transaction $3 of a provider.
SELECT f.*
  FROM refunds f
 -- guard: refund_of_this_transaction: AND f.transaction_key = $3 => AND $3::text IS NOT NULL
 WHERE f.user_id = $1 AND f.provider = $2 AND f.transaction_key = $3;

-- name: of_user
-- Refunds of a person, the newest first, from a cursor on.
SELECT f.*
  FROM refunds f
 -- guard: refunds_only_own: f.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: refunds_page_cursor: f.refund_id < $2 => true
 WHERE f.user_id = $1 AND ($2::uuid IS NULL OR f.refund_id < $2)
 ORDER BY f.refund_id DESC
 -- guard: refunds_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: of_schedule
-- Refunds of a schedule of the organizations $2 (null: of any), the newest first, from a cursor on.
SELECT f.*
  FROM refunds f
  -- no guard: { The schedule of the refund and its concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = f.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: schedules_refunds_of_this_schedule: f.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE f.schedule_id = $1
   -- guard: schedules_refunds_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))
   -- guard: schedules_refunds_page_cursor: f.refund_id < $3 => true
   AND ($3::uuid IS NULL OR f.refund_id < $3)
 ORDER BY f.refund_id DESC
 -- guard: schedules_refunds_page_limit: $4 => $4 + 9
 LIMIT $4;

-- name: of_payments
-- The refunds of these payments, each of its person, the oldest first.
SELECT f.*
  FROM unnest($1::uuid[], $2::uuid[]) n (user_id, payment_id)
  -- guard: refunds_of_these_payments: AND f.payment_id = n.payment_id =>
  JOIN refunds f ON f.user_id = n.user_id AND f.payment_id = n.payment_id
 ORDER BY f.refund_id;

-- name: manual
-- Refunds that wait for an operator, the oldest first, after a cursor.
SELECT f.*
  FROM refunds f
 -- guard: manual_only_what_waits: f.status = 'MANUAL' => true
 -- guard: manual_page_cursor: f.refund_id > $1 => true
 WHERE f.status = 'MANUAL' AND ($1::uuid IS NULL OR f.refund_id > $1)
 ORDER BY f.refund_id
 -- guard: manual_page_limit: $2 => $2 + 9
 LIMIT $2;

-- name: owner_of_manual
-- Whose refund waits for an operator, or was resolved by one, and of which concert.
SELECT f.user_id, f.schedule_id, c.concert_id, c.organization_id
  FROM refunds f
  -- no guard: { The schedule of the refund and its concert, by their primary keys.
  LEFT JOIN schedules s ON s.schedule_id = f.schedule_id
  LEFT JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: owner_of_this_refund: f.refund_id = $1 => $1::uuid IS NOT NULL
 WHERE f.refund_id = $1 AND f.failure IS NOT NULL;

-- name: begin
-- Note that a provider is about to be asked.
SELECT outcome, asked_before FROM refunds_begin_v1($1, $2, $3, $4);

-- name: answer
-- What the provider answered to a call.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
VALUES ($1, $2, clock_timestamp(), $3, $4, $5::text::jsonb);

-- name: settle
-- Book what a provider said.
SELECT refunds_settle_v1($1, $2, $3, $4, $5, $6, $7) AS outcome;

-- name: resolve
-- End a refund that waits for a person.
SELECT refunds_resolve_v1($1, $2, $3, $4) AS outcome;

-- name: postpone
-- Let the cashier look at a refund again in $2 seconds.
UPDATE cashier_work w SET due_at = clock_timestamp() + make_interval(secs => $2), tries = w.tries + 1
 -- guard: postpone_only_this_refund: w.subject_id = $1 => $1::uuid IS NOT NULL
 WHERE w.kind = 'refund' AND w.subject_id = $1;

-- name: policy
-- The newest policy of a schedule that is shown to buyers, and the time zone of its venue; with $3 of one of
-- the organizations $2 (null: of any).
SELECT f.policy::text AS policy, v.time_zone
  FROM schedules s
  -- no guard: { The concert and the venue of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: }
  -- no guard: The policies of the schedule; the order and the limit choose the newest.
  LEFT JOIN refund_policies f ON f.schedule_id = s.schedule_id
 -- guard: policy_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
   -- guard: policy_of_a_draft_is_its_organizers: NOT $3::boolean AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED' => true
   AND ((NOT $3::boolean AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED')
        -- guard: policy_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
        OR ($3::boolean AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))))
 ORDER BY f.version DESC NULLS LAST
 -- no guard: The caller reads one row.
 LIMIT 1;

-- name: lock_schedule
-- Lock a schedule of these organizations against being opened; its status, currency, concert and organization.
SELECT s.status, s.currency, s.concert_id, c.organization_id
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: policy_change_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- no guard: Opening a schedule locks the same row; a race leaves the policy of the sale unchanged.
   FOR NO KEY UPDATE OF s;

-- name: add_policy
-- The next version of a schedule's policy.
INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
SELECT $1, coalesce(max(f.version), 0) + 1, clock_timestamp(), $2, $3::text::jsonb
  FROM refund_policies f
 -- guard: policy_version_of_this_schedule: f.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE f.schedule_id = $1;

-- name: start_job
-- Begin the refund of a whole schedule; the cashier works it off.
WITH job AS (
    INSERT INTO refund_jobs (
        schedule_id, job_id, asked_by, created_at, changed_at, with_compensation, idempotency_key)
    VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp(), $4, $5)
    RETURNING job_id, asked_by, created_at
)
INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
SELECT 'refund_job', j.job_id, j.asked_by, j.created_at FROM job j;

-- name: join_job
-- The job of a schedule that is not finished; from now on with compensation, if $2 asks for it.
UPDATE refund_jobs j
   -- guard: joined_job_pays_the_compensation: OR $2 => AND $2::boolean IS NOT NULL
   SET with_compensation = j.with_compensation OR $2
 -- guard: running_job_of_this_schedule: j.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: finished_job_is_not_running: AND j.finished_at IS NULL =>
 WHERE j.schedule_id = $1 AND j.finished_at IS NULL
RETURNING j.job_id;

-- name: job_by_key
-- A job of a schedule by its key.
SELECT j.*
  FROM refund_jobs j
 -- guard: job_by_this_key: j.idempotency_key = $2 => $2::text IS NOT NULL
 WHERE j.schedule_id = $1 AND j.idempotency_key = $2;

-- name: job
-- A job of a schedule of the organizations $3 (null: of any).
SELECT j.*
  FROM refund_jobs j
  -- no guard: { The schedule of the job and its concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = j.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: job_by_this_id: j.job_id = $2 => $2::uuid IS NOT NULL
 WHERE j.schedule_id = $1 AND j.job_id = $2
   -- guard: job_only_of_its_organizer: c.organization_id = ANY ($3::uuid[]) => true
   AND ($3::uuid[] IS NULL OR c.organization_id = ANY ($3::uuid[]));

-- name: jobs
-- The jobs of a schedule of the organizations $2 (null: of any), the newest first, from a cursor on.
SELECT j.*
  FROM refund_jobs j
  -- no guard: { The schedule of the job and its concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = j.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: jobs_of_this_schedule: j.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE j.schedule_id = $1
   -- guard: jobs_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))
   -- guard: jobs_page_cursor: j.job_id < $3 => true
   AND ($3::uuid IS NULL OR j.job_id < $3)
 ORDER BY j.job_id DESC
 -- guard: jobs_page_limit: $4 => $4 + 9
 LIMIT $4;

-- name: job_to_do
-- An unfinished job, by its id.
SELECT j.* FROM refund_jobs j
 -- guard: job_to_do_by_id: j.job_id = $1 => $1::uuid IS NOT NULL
 WHERE j.job_id = $1 AND j.finished_at IS NULL;

-- name: next_payments
-- Payments of a schedule with live tickets, in the order of their ids, after the place of a job.
SELECT p.payment_id, p.user_id
  FROM payments p
 -- guard: next_payments_of_this_schedule: p.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: next_payments_after_the_last: p.payment_id > $2 => true
 WHERE p.schedule_id = $1 AND ($2::uuid IS NULL OR p.payment_id > $2)
   -- no guard: Saves a decision: a payment without live tickets is refused.
   AND EXISTS (SELECT FROM unnest(p.ticket_ids) n (id) JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.id AND t.status <> 'VOID')
   -- The job of the cancellation makes these sales void.
   -- guard: next_payments_without_the_box_office_of_a_cancelled_performance
   AND NOT (p.method IN ('cash', 'card_terminal') AND EXISTS (SELECT FROM schedules s WHERE s.schedule_id = p.schedule_id AND s.status = 'CANCELLED'))
 ORDER BY p.payment_id
 -- no guard: Bounds the work of one call; the place of the job leads to the rest.
 LIMIT $3;

-- name: advance_job
-- Note how far a job has come: the payment after which it goes on, $3 more payments, of them $4 refused.
UPDATE refund_jobs j
   SET after_payment_id = $2, payments = j.payments + $3, refused = j.refused + $4,
       changed_at = clock_timestamp()
 -- guard: advance_only_this_job: j.job_id = $1 => $1::uuid IS NOT NULL
 WHERE j.job_id = $1;

-- name: end_pass
-- End a pass: the job is finished unless a hold of the schedule may still be paid, or may not be visible yet
-- because its performance was cancelled less than $2 seconds ago; then it begins anew.
UPDATE refund_jobs j
   -- guard: job_waits_for_holds_that_may_be_paid: AND r.status = 'HELD' AND => AND false AND
   SET finished_at = CASE WHEN EXISTS (SELECT FROM reservations r WHERE r.schedule_id = j.schedule_id AND r.status = 'HELD' AND (r.expires_at > clock_timestamp() OR r.intent_id IS NOT NULL))
       -- guard: job_waits_until_all_holds_are_known: s.schedule_id = j.schedule_id AND => false AND
       OR EXISTS (SELECT FROM schedules s WHERE s.schedule_id = j.schedule_id AND s.cancelled_at > clock_timestamp() - make_interval(secs => $2))
       -- no guard: The result of the conditions above, which are guards.
       THEN NULL ELSE clock_timestamp() END,
       after_payment_id = NULL, changed_at = clock_timestamp()
 -- guard: end_only_this_job: j.job_id = $1 => $1::uuid IS NOT NULL
 WHERE j.job_id = $1
RETURNING j.finished_at IS NOT NULL AS is_finished;

-- name: job_due
-- Let the cashier go on with a job in $2 seconds.
UPDATE cashier_work w SET due_at = clock_timestamp() + make_interval(secs => $2)
 -- guard: job_due_only_this_job: w.subject_id = $1 => $1::uuid IS NOT NULL
 WHERE w.kind = 'refund_job' AND w.subject_id = $1;

-- name: job_done
-- A finished job is no work any more.
DELETE FROM cashier_work w
 -- guard: job_done_only_this_job: w.subject_id = $1 => $1::uuid IS NOT NULL
 WHERE w.kind = 'refund_job' AND w.subject_id = $1;
