-- The setup of a snapshot; kept apart so that every statement of `queries.sql` is a check.

-- name: bound
-- For this transaction: a deadline per statement, memory to join a million rows, and no nested loops,
-- which a planner without statistics (right after an import) would choose.
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true), set_config('jit', 'off', true),
       set_config('timezone', 'UTC', true), set_config('work_mem', $2, true),
       set_config('enable_nestloop', 'off', true);

-- name: try_lock
-- Takes the lock of the auditor until the end of the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('boxoffice auditor', 0)) AS try_lock;

-- name: taken_at
-- Read after the snapshot is taken, so that every hold that was taken over has lapsed by this time.
SELECT clock_timestamp() AS taken_at;
