-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: compared
-- The kinds and beginnings of finished runs since $2, and the database's time.
SELECT r.kind, r.since
  FROM statement_runs r
 -- guard: compared_of_this_provider: r.provider = $1 AND => $1::text IS NOT NULL AND
 -- no guard: A run that is not finished is found by `unfinished` as well; the provider is a guard.
 WHERE r.provider = $1 AND r.since >= $2 AND r.finished_at IS NOT NULL;

-- name: lost_since
-- Since when restores of the last week have lost what happened, null without one; for a week the days are caught up.
SELECT min(r.recovered_to) AS lost_since
  FROM restores r
 -- no guard: Saves comparisons; a day that was compared is not compared again.
 WHERE r.restored_at > clock_timestamp() - interval '7 days';

-- name: lost_orders
-- Captures that statements show for orders that a restore has lost: open findings since the time that one lost, $1
-- seconds earlier for the provider's clock, and until 90 days later, when the last account for a deposit has ended.
SELECT f.provider, f.transaction_key, f.order_id, f.payment_key, f.there_minor AS amount_minor, f.currency,
       f.happened_at
  FROM statement_findings f
 -- guard: lost_orders_are_unknown: f.kind = 'unknown_order' AND =>
 -- guard: lost_orders_were_paid: AND f.movement = 'capture' =>
 WHERE f.kind = 'unknown_order' AND f.movement = 'capture'
   -- guard: lost_orders_that_no_operator_has_resolved
   AND f.resolved_at IS NULL
   -- guard: lost_orders_of_the_lost_time { => AND $1::float8 IS NOT NULL
   AND EXISTS (SELECT FROM restores r
                WHERE f.happened_at >= r.recovered_to - make_interval(secs => $1)
                  AND f.happened_at <= r.restored_at + interval '90 days')
   -- guard: }
 ORDER BY f.happened_at, f.transaction_key;

-- name: adopt_lost_orders
-- Make cancelled intents of lost orders whose buyers are known, and have them looked up: what a cancelled intent has
-- captured is booked and goes back to its buyer. Returns the intents, those that were adopted before included.
WITH adopted AS (
    INSERT INTO payment_intents (
           user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at, closed_at, purpose, provider,
           currency, status, payment_key, idempotency_key, fingerprint)
    SELECT n.user_id, n.intent_id, n.amount_minor, n.happened_at, clock_timestamp(), n.happened_at,
           clock_timestamp(), 'top_up', n.provider, n.currency, 'CANCELLED', n.payment_key,
           'lost by a restore: ' || n.intent_id, ''
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
           n (user_id, intent_id, amount_minor, happened_at, provider, currency, payment_key)
      -- guard: lost_orders_of_known_buyers => WHERE true
      JOIN users u ON u.user_id = n.user_id
        -- no guard: An intent is adopted once; without it the second call fails.
        ON CONFLICT ON CONSTRAINT payment_intents_pkey DO NOTHING
)
INSERT INTO cashier_work AS w (kind, subject_id, user_id, due_at)
SELECT 'look_up', n.intent_id, n.user_id, clock_timestamp()
  FROM unnest($1::uuid[], $2::uuid[]) n (user_id, intent_id)
  -- no guard: Of an unknown buyer there is no intent to look up; the cashier would drop the work.
  JOIN users u ON u.user_id = n.user_id
    -- no guard: Work that exists is due now.
    ON CONFLICT ON CONSTRAINT cashier_work_pkey DO UPDATE SET due_at = least(w.due_at, excluded.due_at)
RETURNING w.user_id, w.subject_id AS intent_id;

-- name: start
-- Begin a run, or go on with one that was not finished.
INSERT INTO statement_runs AS r (provider, kind, since, until, started_at, changed_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
    -- no guard: The run of a window exists once; without it the second one fails.
    ON CONFLICT ON CONSTRAINT statement_runs_pkey DO UPDATE
   SET changed_at = clock_timestamp()
 -- guard: run_is_not_begun_anew_by_itself
 WHERE r.finished_at IS NULL
RETURNING r.page_cursor, r.lines, r.started_at, clock_timestamp() AS now;

-- name: ask
-- Let a run begin, or begin anew.
INSERT INTO statement_runs AS r (provider, kind, since, until, started_at, changed_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
    -- no guard: The run of a window exists once; without it the second one fails.
    ON CONFLICT ON CONSTRAINT statement_runs_pkey DO UPDATE
   SET started_at = excluded.started_at, changed_at = excluded.changed_at, page_cursor = NULL, lines = 0,
       finished_at = NULL, totals = NULL;

-- name: unfinished
-- Runs of a provider that are not finished.
SELECT r.kind, r.since, r.until
  FROM statement_runs r
 -- guard: unfinished_of_this_provider: r.provider = $1 AND => $1::text IS NOT NULL AND
 -- guard: unfinished_only: r.finished_at IS NULL => true
 WHERE r.provider = $1 AND r.finished_at IS NULL
 ORDER BY r.since;

-- name: save_lines
-- Lines of a page; a line that was read before stays, but for its fee.
INSERT INTO statement_lines AS l (
    provider, transaction_key, happened_at, read_at, amount_minor, fee_minor, movement, currency, payment_key,
    order_id)
SELECT $1, n.key, n.happened_at, clock_timestamp(), n.amount_minor, n.fee_minor, n.movement, n.currency,
       n.payment_key, n.order_id
  FROM unnest($2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
              $9::text[])
       n (key, happened_at, amount_minor, fee_minor, movement, currency, payment_key, order_id)
    -- guard: line_that_changed_is_taken_over { => ON CONFLICT ON CONSTRAINT statement_lines_pkey DO NOTHING;
    ON CONFLICT ON CONSTRAINT statement_lines_pkey DO UPDATE SET
       happened_at = excluded.happened_at, read_at = excluded.read_at, amount_minor = excluded.amount_minor,
       fee_minor = coalesce(excluded.fee_minor, l.fee_minor), movement = excluded.movement,
       currency = excluded.currency;
    -- guard: }

-- name: save_place
-- Where a run goes on after a crash.
UPDATE statement_runs r
   SET page_cursor = $4, lines = r.lines + $5::integer, changed_at = clock_timestamp()
 -- guard: place_of_this_run: r.provider = $1 AND => $1::text IS NOT NULL AND
 WHERE r.provider = $1 AND r.kind = $2 AND r.since = $3;

-- name: lines
-- The lines of a provider's statement in a window, as it was read since $4.
SELECT l.transaction_key, l.movement, l.amount_minor, l.currency, l.happened_at, l.order_id, l.payment_key,
       l.fee_minor
  FROM statement_lines l
 -- guard: lines_of_this_provider: l.provider = $1 AND => $1::text IS NOT NULL AND
 -- guard: lines_of_this_window: AND l.happened_at >= $2 AND l.happened_at < $3 => AND $2::timestamptz < $3::timestamptz
 WHERE l.provider = $1 AND l.happened_at >= $2 AND l.happened_at < $3
   -- guard: lines_that_are_gone_do_not_count: l.read_at >= $4 => $4::timestamptz IS NOT NULL
   AND l.read_at >= $4
 ORDER BY l.happened_at, l.transaction_key;

-- name: movements
-- The booked movements of a provider in a window.
SELECT x.transaction_key, x.kind, x.amount_minor, x.currency, x.happened_at
  FROM provider_transactions x
 -- guard: movements_of_this_provider: x.provider = $1 AND => $1::text IS NOT NULL AND
 -- no guard: Bounds what is read; the comparison looks at the window again.
 WHERE x.provider = $1 AND x.happened_at >= $2 AND x.happened_at < $3;

-- name: awaited
-- Refunds that a provider was asked for and that are not booked.
SELECT f.payment_key, f.amount_minor
  FROM refunds f
 -- no guard: Keys of payments differ between providers; the other condition of the line is a guard.
 -- guard: awaited_only_what_was_sent: AND f.sent_at IS NOT NULL =>
 WHERE f.provider = $1 AND f.status = 'PENDING' AND f.sent_at IS NOT NULL;

-- name: known_keys
-- Which of these keys of payments are those of our intents.
-- no guard: Saves repetitions; the caller makes a set.
SELECT DISTINCT i.payment_key
  FROM payment_intents i
 -- guard: known_keys_of_this_provider: i.provider = $1 AND => $1::text IS NOT NULL AND
 WHERE i.provider = $1 AND i.payment_key = ANY ($2::text[]);

-- name: known_intents
-- Which of these intents exist.
SELECT i.user_id, i.intent_id
  FROM unnest($1::uuid[], $2::uuid[]) n (user_id, intent_id)
  -- no guard: Saves rows; the ids are those of the intents, and others are not in the statement.
  JOIN payment_intents i ON i.user_id = n.user_id AND i.intent_id = n.intent_id;

-- name: save_findings
-- Findings of a run: new ones, and old ones that are seen again. One that an operator resolved stays so.
INSERT INTO statement_findings AS f (
    provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, there_minor, here_minor,
    movement, currency, order_id, payment_key)
SELECT $1, n.key, n.kind, n.finding_id, clock_timestamp(), clock_timestamp(), n.happened_at, n.there_minor,
       n.here_minor, n.movement, n.currency, n.order_id, n.payment_key
  FROM unnest($2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::text[],
              $9::text[], $10::text[], $11::text[])
       n (key, kind, finding_id, happened_at, there_minor, here_minor, movement, currency, order_id, payment_key)
    -- no guard: A difference is one row; without it the second run fails.
    ON CONFLICT ON CONSTRAINT statement_findings_pkey DO UPDATE
   SET seen_at = excluded.seen_at, there_minor = excluded.there_minor, here_minor = excluded.here_minor,
       -- guard: finding_that_an_operator_resolved_stays_so: WHEN f.resolved_by IS NULL => WHEN true
       resolved_at = CASE WHEN f.resolved_by IS NULL THEN NULL ELSE f.resolved_at END;

-- name: heal_findings
-- Findings of a window that a run has not found any more are over.
UPDATE statement_findings f SET resolved_at = clock_timestamp()
 -- guard: heal_of_this_provider: f.provider = $1 AND => $1::text IS NOT NULL AND
 -- guard: heal_of_this_window: f.happened_at < $3 => $3::timestamptz IS NOT NULL
 WHERE f.provider = $1 AND f.happened_at >= $2 AND f.happened_at < $3
   -- no guard: What is over stays so; only its time would change.
   AND f.resolved_at IS NULL
   -- guard: heal_only_what_is_gone => AND $4::text[] IS NOT NULL;
   AND NOT (f.transaction_key || ' ' || f.kind = ANY ($4::text[]));

-- name: heal_booked
-- What was booked since as the statement says is over: no later run need compare its window again.
UPDATE statement_findings f SET resolved_at = clock_timestamp()
  FROM provider_transactions x
 -- no guard: What is over stays so; only its time would change.
 WHERE f.resolved_at IS NULL
   -- guard: booked_at_this_provider
   AND x.provider = f.provider
   -- guard: booked_under_this_key
   AND x.transaction_key = f.transaction_key
   -- guard: booked_with_this_amount
   AND x.amount_minor = abs(f.there_minor)
   -- guard: booked_in_this_currency => ;
   AND x.currency = f.currency;

-- name: finish
-- End a run.
UPDATE statement_runs r
   SET finished_at = clock_timestamp(), changed_at = clock_timestamp(), totals = $4::text::jsonb,
       page_cursor = NULL
 -- guard: finish_this_run: r.provider = $1 AND => $1::text IS NOT NULL AND
 WHERE r.provider = $1 AND r.kind = $2 AND r.since = $3;

-- name: look_up
-- Let the cashier look intents up at their provider now.
INSERT INTO cashier_work AS w (kind, subject_id, user_id, due_at)
SELECT 'look_up', i.intent_id, i.user_id, clock_timestamp()
  FROM unnest($1::uuid[], $2::uuid[]) n (user_id, intent_id)
  -- no guard: Invented ids cause no work.
  JOIN payment_intents i ON i.user_id = n.user_id AND i.intent_id = n.intent_id
    -- no guard: Work that exists is due now.
    ON CONFLICT ON CONSTRAINT cashier_work_pkey DO UPDATE SET due_at = least(w.due_at, excluded.due_at);

-- name: intents_of_transactions
-- The intents whose money booked transactions moved.
-- no guard: Saves repetitions; the caller makes a set.
SELECT DISTINCT i.user_id, i.intent_id
  FROM provider_transactions x
  -- no guard: { The payment of the transfer, or the intents of its person with this amount.
  JOIN transfers t ON t.user_id = x.user_id AND t.transfer_id = x.transfer_id
  JOIN payment_intents i ON i.user_id = x.user_id AND i.provider = x.provider AND i.amount_minor = t.amount_minor
  -- guard: }
 -- guard: intents_of_these_transactions: AND x.transaction_key = ANY ($2::text[]) => AND $2::text[] IS NOT NULL
 WHERE x.provider = $1 AND x.transaction_key = ANY ($2::text[]);

-- name: runs
-- Runs with the number of their findings, the newest first, from a cursor on; optionally of one provider or kind.
SELECT r.provider, r.kind, r.since, r.until, r.started_at, r.finished_at, r.lines, r.totals::text AS totals,
       f.findings, f.open_findings
  FROM statement_runs r
 CROSS JOIN LATERAL (
      SELECT count(*)::integer AS findings,
             -- guard: runs_count_open_findings: FILTER (WHERE f.resolved_at IS NULL) =>
             (count(*) FILTER (WHERE f.resolved_at IS NULL))::integer AS open_findings
        FROM statement_findings f
       -- guard: runs_count_findings_of_their_window: f.happened_at < r.until => true
       WHERE f.provider = r.provider AND f.happened_at >= r.since AND f.happened_at < r.until
 ) f
 -- guard: runs_of_this_provider: r.provider = $1 => true
 WHERE ($1::text IS NULL OR r.provider = $1)
   -- guard: runs_page_cursor: < ($2, $3, $4) => IS DISTINCT FROM (NULL, $3::text, $4::text)
   AND ($2::timestamptz IS NULL OR (r.since, r.provider, r.kind) < ($2, $3, $4))
   -- guard: runs_of_this_kind: r.kind = $6 => true
   AND ($6::text IS NULL OR r.kind = $6)
 ORDER BY r.since DESC, r.provider DESC, r.kind DESC
 -- guard: runs_page_limit: $5 => $5 + 9
 LIMIT $5;

-- name: run
-- A run with the number of its findings; without `finished_at` it waits for the cashier or is under way.
SELECT r.provider, r.kind, r.since, r.until, r.started_at, r.finished_at, r.lines, r.totals::text AS totals,
       f.findings, f.open_findings
  FROM statement_runs r
 CROSS JOIN LATERAL (
      SELECT count(*)::integer AS findings,
             -- guard: run_counts_open_findings: FILTER (WHERE f.resolved_at IS NULL) =>
             (count(*) FILTER (WHERE f.resolved_at IS NULL))::integer AS open_findings
        FROM statement_findings f
       -- guard: run_counts_findings_of_its_window: f.happened_at < r.until => true
       WHERE f.provider = r.provider AND f.happened_at >= r.since AND f.happened_at < r.until
 ) f
 -- guard: run_of_this_day: AND r.since = $3 => AND $3::timestamptz IS NOT NULL
 WHERE r.provider = $1 AND r.kind = $2 AND r.since = $3;

-- name: findings
-- Findings, the oldest first, after a cursor; of a provider, of a time, or open ones, where that is given.
SELECT f.*
  FROM statement_findings f
 -- guard: findings_page_cursor: f.finding_id > $1 => true
 WHERE ($1::uuid IS NULL OR f.finding_id > $1)
   -- guard: findings_only_open: f.resolved_at IS NULL => true
   AND (NOT $2::boolean OR f.resolved_at IS NULL)
   -- guard: findings_of_this_provider: f.provider = $3 => true
   AND ($3::text IS NULL OR f.provider = $3)
   -- guard: findings_of_this_time: f.happened_at < $5 => $5::timestamptz IS NOT NULL
   AND ($4::timestamptz IS NULL OR (f.happened_at >= $4 AND f.happened_at < $5))
 ORDER BY f.finding_id
 -- guard: findings_page_limit: $6 => $6 + 9
 LIMIT $6;

-- name: resolve
-- An operator resolves a finding.
UPDATE statement_findings f SET resolved_at = clock_timestamp(), resolved_by = $2, note = $3
 -- guard: resolve_this_finding: f.finding_id = $1 => $1::uuid IS NOT NULL
 -- guard: resolve_only_open_findings: AND f.resolved_at IS NULL =>
 WHERE f.finding_id = $1 AND f.resolved_at IS NULL
RETURNING f.*;

-- name: finding
-- A finding.
SELECT f.* FROM statement_findings f
 -- guard: finding_by_id => WHERE $1::uuid IS NOT NULL
 WHERE f.finding_id = $1;
