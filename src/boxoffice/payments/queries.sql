-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: pay
-- Decide a batch of payments of one schedule; one row for the whole batch. The numbers are read after the decision,
-- one per command.
SELECT outcomes, created_at, amounts_minor, currencies, seats_to, seat_ids, seat_versions, ticket_ids,
       order_numbers_of_v1($1, $5) AS order_numbers
  FROM payments_pay_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: find_payments_by_key
-- What payments with these keys did, for requests whose answer was lost.
SELECT c.ord::integer AS ord,
       -- guard: find_payments_fingerprint_is_compared => 'replayed' AS outcome,
       CASE WHEN p.fingerprint = c.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
       p.payment_id, p.reservation_id, p.amount_minor, p.currency, p.method, p.created_at,
       p.ticket_ids, r.seat_ids, k.order_number
  FROM unnest($2::uuid[], $3::text[], $4::bytea[])
       WITH ORDINALITY c (user_id, key, fingerprint, ord)
  -- guard: find_payments_of_this_person: user_id = c.user_id AND p. =>
  -- guard: find_payments_by_this_key: AND p.idempotency_key = c.key =>
  -- guard: find_payments_of_this_schedule: p.schedule_id = $1 => $1::uuid IS NOT NULL
  JOIN payments p ON p.schedule_id = $1 AND p.user_id = c.user_id AND p.idempotency_key = c.key
  -- guard: find_payments_seats_of_its_reservation: AND r.reservation_id = p.reservation_id =>
  JOIN reservations r ON r.schedule_id = p.schedule_id AND r.reservation_id = p.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
 ORDER BY c.ord;

-- name: get
-- One payment of one person, with its tickets in the order of the seats, and which of them are void: those that
-- were returned, and all of a performance that is cancelled.
SELECT p.payment_id, p.reservation_id, p.amount_minor, p.currency, p.method, p.created_at,
       p.ticket_ids, r.seat_ids, v.ticket_ids AS void_ticket_ids, k.order_number
  FROM payments p
  -- guard: payment_seats_of_its_reservation: AND r.reservation_id = p.reservation_id =>
  JOIN reservations r ON r.schedule_id = p.schedule_id AND r.reservation_id = p.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
 CROSS JOIN LATERAL (
      SELECT array_agg(t.ticket_id) AS ticket_ids
        FROM unnest(p.ticket_ids) n (id)
        -- no guard: Head of the conditions below, which are guards.
        JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.id AND (
             -- guard: payment_tickets_that_are_void => true
             t.status = 'VOID'
             -- guard: payment_tickets_of_a_cancelled_performance_are_void: AND s.status = 'CANCELLED' => AND false
             OR EXISTS (SELECT FROM schedules s WHERE s.schedule_id = p.schedule_id AND s.status = 'CANCELLED'))) v
 -- guard: payment_only_own: p.user_id = $3 => $3::uuid IS NOT NULL
 WHERE p.schedule_id = $1 AND p.payment_id = $2 AND p.user_id = $3;

-- name: top_up
-- Decide a batch of top-ups.
SELECT ord, outcome, transfer_id, amount_minor, balance_minor, currency, created_at
  FROM payments_charge_v1($1, $2, $3, $4, $5, $6)
 ORDER BY ord;

-- name: find_top_ups_by_key
-- What top-ups with these keys did, for requests whose answer was lost.
SELECT c.ord::integer AS ord,
       -- guard: find_top_ups_fingerprint_is_compared => 'replayed' AS outcome,
       CASE WHEN t.fingerprint = c.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
       t.transfer_id, t.amount_minor, t.balance_after_minor AS balance_minor, t.currency, t.created_at
  FROM unnest($1::uuid[], $2::text[], $3::bytea[])
       WITH ORDINALITY c (user_id, key, fingerprint, ord)
  -- guard: find_top_ups_of_this_person: user_id = c.user_id AND t. =>
  -- guard: find_top_ups_by_this_key: AND t.idempotency_key = c.key =>
  JOIN transfers t ON t.user_id = c.user_id AND t.idempotency_key = c.key
 ORDER BY c.ord;

-- name: wallet
-- A person's wallet.
-- guard: wallet_only_own: user_id = $1 => $1::uuid IS NOT NULL
SELECT balance_minor, currency FROM wallets WHERE user_id = $1;

-- name: entries
-- Entries of a wallet, the newest first, from a cursor on.
SELECT e.transfer_id, e.leg, e.amount_minor, e.currency, t.kind, t.payment_id, t.schedule_id,
       t.created_at
  FROM ledger_entries e
  -- guard: wallet_transfer_of_entry: AND t.transfer_id = e.transfer_id =>
  JOIN transfers t ON t.user_id = e.user_id AND t.transfer_id = e.transfer_id
 -- guard: entries_only_own: e.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: entries_only_wallets: e.account = 'wallet' AND =>
 WHERE e.user_id = $1 AND e.account = 'wallet' AND ($2::uuid IS NULL OR e.transfer_id < $2)
 ORDER BY e.transfer_id DESC
 -- guard: wallet_page_limit_entries: $3 => $3 + 9
 LIMIT $3;

-- name: seed_top_ups
-- One top-up per person who has not had it, with both legs: into the wallet, out of the cash account.
-- No events: thousands of them would delay the first real ones.
WITH filled AS (
    UPDATE wallets w
       SET balance_minor = w.balance_minor + $3
      FROM unnest($1::uuid[], $2::uuid[]) p (user_id, transfer_id)
     -- guard: seed_for_named_persons => WHERE p.user_id IS NOT NULL
     WHERE w.user_id = p.user_id
       -- no guard: Head of the condition below, which is a guard.
       AND NOT EXISTS (SELECT FROM transfers t
                        -- guard: seed_once => WHERE false)
                        WHERE t.user_id = p.user_id AND t.idempotency_key = 'seed')
    RETURNING w.user_id, p.transfer_id, w.currency, w.balance_minor
), topped_up AS (
    INSERT INTO transfers (
        user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint,
        balance_after_minor, created_at)
    SELECT f.user_id, f.transfer_id, 'charge', $3, f.currency, 'seed',
           sha256(convert_to('seed', 'UTF8')), f.balance_minor, clock_timestamp()
      FROM filled f
    RETURNING user_id, transfer_id, currency
)
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT c.user_id, c.transfer_id, l.leg, l.account, l.sign * $3::bigint, c.currency
  FROM topped_up c
 CROSS JOIN (VALUES (1, 'wallet', 1), (2, 'cash', -1)) l (leg, account, sign);
