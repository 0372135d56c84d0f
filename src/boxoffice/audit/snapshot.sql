-- What surrounds the checks; apart from them, so that every statement of `queries.sql` is a check.

-- name: bound
-- For this transaction alone: a deadline per statement, which is also the one for locks; memory enough
-- to join a million rows; and no nested loops over them, which a planner without statistics (right after
-- an import) would choose.
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true), set_config('jit', 'off', true),
       set_config('timezone', 'UTC', true), set_config('work_mem', $2, true),
       set_config('enable_nestloop', 'off', true);

-- name: is_alone
-- Whether this auditor may work: one at a time does, and its place is free with its transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('boxoffice auditor', 0)) AS is_alone;

-- name: taken_at
-- The time, read after the snapshot was taken: by it, a hold that was lawfully taken over has lapsed.
SELECT clock_timestamp() AS taken_at;
