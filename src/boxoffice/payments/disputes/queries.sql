-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: settle
-- Book a dispute as it stands.
SELECT outcome, dispute_id
  FROM disputes_settle_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: list
-- Disputes, the newest first, from a cursor on; optionally of one status.
SELECT d.*, disputes_valid_tickets_v1(d.schedule_id, d.payment_id) AS valid_tickets
  FROM disputes d
 -- guard: disputes_page_cursor: d.dispute_id < $1 => true
 -- guard: disputes_of_this_status: d.status = $2 => true
 WHERE ($1::uuid IS NULL OR d.dispute_id < $1) AND ($2::text IS NULL OR d.status = $2)
 ORDER BY d.dispute_id DESC
 -- guard: disputes_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: get
-- A dispute, and the organization and concert of its payment.
SELECT d.*, disputes_valid_tickets_v1(d.schedule_id, d.payment_id) AS valid_tickets, c.organization_id,
       c.concert_id
  FROM disputes d
  -- no guard: { The schedule of the payment and its concert, by their primary keys.
  LEFT JOIN schedules s ON s.schedule_id = d.schedule_id
  LEFT JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: dispute_by_id => WHERE $1::uuid IS NOT NULL
 WHERE d.dispute_id = $1;

-- name: paid_through
-- How a payment was made: the provider and its key.
SELECT p.method, p.provider_reference, p.amount_minor, p.currency
  FROM payments p
 -- guard: disputed_payment_by_id: p.payment_id = $2 => $2::uuid IS NOT NULL
 WHERE p.schedule_id = $1 AND p.payment_id = $2;
