-- Reads of the fault suite, and one setting of an organizer.

-- name: seat_ids
-- The seats of a schedule in order.
SELECT seat_id FROM seats WHERE schedule_id = $1 ORDER BY ordinal;

-- name: top_ups
-- The top-ups of some persons under this run's keys.
SELECT transfer_id, user_id, amount_minor, idempotency_key
  FROM transfers
 WHERE kind = 'charge' AND user_id = ANY($1::uuid[]) AND idempotency_key LIKE $2 || '%';

-- name: left_undone
-- Pending work of relay and sweeper: events, and lapsed holds.
SELECT (SELECT count(*) FROM outbox) AS events,
       (SELECT count(*) FROM reservations
         WHERE status = 'HELD' AND expires_at < clock_timestamp()) AS holds;

-- name: admit_one_at_a_time
-- Admit one person at a time to the sale of schedule $1, without a time limit.
UPDATE queue_rooms SET inside_max = 1, inside_s = 3600, grace_s = 3600 WHERE schedule_id = $1;

-- name: provider_transactions
-- Every movement of money at a provider that is booked.
SELECT provider, transaction_key, amount_minor, currency FROM provider_transactions;

-- name: cash
-- What each provider owes the shop, by the ledger.
SELECT t.provider, -sum(e.amount_minor)::bigint AS minor
  FROM ledger_entries e
  JOIN transfers t USING (user_id, transfer_id)
 WHERE e.account = 'cash' AND t.provider IS NOT NULL
 GROUP BY t.provider;

-- name: sold_through_providers
-- Seats, tickets and money of everything that was sold; work that the cashier has not done.
SELECT (SELECT count(*) FROM seats WHERE state = 'SOLD') AS sold,
       (SELECT count(*) FROM tickets WHERE status <> 'VOID') AS tickets,
       (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries
         WHERE account = 'suspense') AS suspense_minor,
       (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries
         WHERE account = 'refunds_due') AS due_minor,
       (SELECT coalesce(sum(amount_minor), 0)::bigint FROM refunds
         WHERE status <> 'DONE') AS owed_minor,
       (SELECT count(*) FROM refunds) AS refunds,
       (SELECT count(*) FROM payment_intents
         WHERE status IN ('CONFIRMING', 'UNKNOWN', 'CAPTURED_LATE')) AS open_intents;

-- name: cashier_left_undone
-- Work about money, and notices that were not tried yet; those of unknown orders are tried for a day.
SELECT (SELECT count(*) FROM cashier_work WHERE kind IN ('look_up', 'refund'))
     + (SELECT count(*) FROM provider_notices WHERE handled_at IS NULL AND tries = 0) AS count;

-- name: hurry_cashier
-- Let the time pass that the cashier's work waits for.
UPDATE cashier_work SET due_at = clock_timestamp() WHERE kind IN ('look_up', 'refund');

-- name: statuses_of_intents
-- The status of each intent.
SELECT user_id, intent_id, status FROM payment_intents;

-- name: confirm_calls
-- Every call that confirms an intent of a reservation, with its answer.
SELECT c.user_id, c.intent_id, i.reservation_id::text AS reservation_id, i.provider AS intent_provider,
       i.closed_at, c.provider, c.idempotency_key AS key, c.begun_at, a.outcome, a.answered_at
  FROM provider_calls c
  JOIN payment_intents i USING (user_id, intent_id)
  LEFT JOIN provider_answers a USING (user_id, call_id)
 WHERE c.operation = 'confirm' AND i.reservation_id IS NOT NULL;

-- name: unknown_outcomes
-- How many calls that confirm an intent had an unknown outcome.
SELECT count(*) FROM provider_answers a JOIN provider_calls c USING (user_id, call_id)
 WHERE c.operation = 'confirm' AND a.outcome = 'unknown';

-- name: seller
-- The organizer and the organization of a schedule.
SELECT c.organizer_id, c.organization_id FROM concerts c JOIN schedules s USING (concert_id) WHERE s.schedule_id = $1;

-- name: notifications_left
-- Events of a schedule that the relay has not moved, and webhooks and mails of it that wait.
SELECT (SELECT count(*) FROM outbox WHERE scope_id = $1)
     + (SELECT count(*) FROM webhook_deliveries
         WHERE state = 'WAITING' AND body LIKE '%' || $1::uuid::text || '%')
     + (SELECT count(*) FROM mails WHERE state = 'WAITING' AND scope_id = $1) AS count;

-- name: hurry_webhooks
-- Let the time pass that repetitions of webhooks wait for.
UPDATE webhook_deliveries SET due_at = now() WHERE state = 'WAITING' AND claimed_under IS NULL;

-- name: hurry_mails
-- Let the time pass that repetitions of mails wait for.
UPDATE mails SET due_at = now() WHERE state = 'WAITING' AND claimed_under IS NULL;

-- name: payments_of_schedule
-- The payments of a schedule.
SELECT payment_id FROM payments WHERE schedule_id = $1;

-- name: receipts_of_schedule
-- The receipts of a schedule's payments.
SELECT subject_id, message_id FROM mails WHERE kind = 'receipt' AND scope_id = $1;

-- name: open_hall
-- A schedule on sale whose organizer and organization have its id; each person may have $2 seats.
WITH organizer AS (
    INSERT INTO users (user_id, email, name, password_hash, role)
    VALUES ($1, $1::uuid || '@example.org', 'Organizer', '-', 'buyer')
), wallet AS (
    INSERT INTO wallets (user_id, currency, balance_minor) VALUES ($1, 'KRW', 0)
), organization AS (
    INSERT INTO organizations (organization_id, name) VALUES ($1, 'Organizer')
), concert AS (
    INSERT INTO concerts (concert_id, organizer_id, organization_id, title, artist, venue, status, published_at)
    VALUES ($1, $1, $1, 'Title', 'Artist', 'Venue', 'PUBLISHED', clock_timestamp())
)
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency, hold_ttl_s, ticket_limit)
VALUES ($1, $1, clock_timestamp() + interval '30 days', clock_timestamp() - interval '1 day', 'OPEN', 'KRW', 3600,
        least($2, 10));

-- name: hall_seats
-- The seats of a hall, in one row.
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT $1, $2, at, at, id, 'S', '1', 'R' FROM unnest($3::text[]) WITH ORDINALITY s (id, at);

-- name: hall_people
-- Buyers with empty wallets.
WITH people AS (
    INSERT INTO users (user_id, email, name, password_hash)
    SELECT id, id || '@example.org', 'Buyer', '-' FROM unnest($1::uuid[]) id
)
INSERT INTO wallets (user_id, currency) SELECT id, 'KRW' FROM unnest($1::uuid[]) id;

-- name: cashiers_token
-- The fencing token of the cashier that led last, 0 before the first.
SELECT coalesce(max(token), 0) AS token FROM leases WHERE role = 'cashier';

-- name: hall_is_done
-- Whether the jobs of a cancellation have ended.
SELECT NOT EXISTS (SELECT FROM schedule_changes WHERE finished_at IS NULL)
       AND NOT EXISTS (SELECT FROM refund_jobs WHERE finished_at IS NULL) AS is_done;

-- name: hall_outcome
-- What became of a cancelled hall.
SELECT (SELECT count(*) FROM refunds) AS refunds_count,
       (SELECT count(DISTINCT user_id) FROM refunds) AS refunded_buyers_count,
       (SELECT count(*) FROM mails WHERE kind = 'schedule_cancelled') AS mails_count,
       (SELECT count(*) FROM tickets WHERE schedule_id = $1 AND status <> 'VOID') AS live_tickets_count,
       (SELECT count(*) FROM seats WHERE schedule_id = $1 AND state <> 'AVAILABLE') AS taken_seats_count,
       (SELECT count(*) FROM wallets WHERE balance_minor <> 1000 AND user_id <> $1) AS wallets_short_count;
