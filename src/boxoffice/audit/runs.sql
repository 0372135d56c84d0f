-- Requests and results of audits; the checks are in queries.sql.

-- name: request
-- Adds a request, unless one is open or the last audit ended less than $2 seconds ago.
INSERT INTO audit_runs (asked_by)
SELECT $1
 WHERE NOT EXISTS (
       SELECT FROM audit_runs r
        WHERE r.finished_at IS NULL
           OR r.finished_at > clock_timestamp() - make_interval(secs => $2))
ON CONFLICT DO NOTHING
RETURNING run_id;

-- name: due
-- The open request, and whether there is none and the last audit ended more than $1 seconds ago.
SELECT coalesce(
           (SELECT r.run_id FROM audit_runs r WHERE r.finished_at IS NULL),
           0) AS run_id,
       NOT EXISTS (
           SELECT FROM audit_runs r
            WHERE r.finished_at IS NULL
               OR r.finished_at > clock_timestamp() - make_interval(secs => $1)) AS is_late;

-- name: finish
-- Stores the result or failure of an open run.
UPDATE audit_runs
   SET started_at = $2, finished_at = clock_timestamp(), ok = $3, checks = $4::text::jsonb, failure = $5
 WHERE run_id = $1 AND finished_at IS NULL
RETURNING run_id;

-- name: forget
-- Deletes all but the newest $1 results.
DELETE FROM audit_runs r
 WHERE r.finished_at IS NOT NULL
   AND r.run_id <= (SELECT k.run_id FROM audit_runs k WHERE k.finished_at IS NOT NULL
                     ORDER BY k.run_id DESC OFFSET $1 LIMIT 1);

-- name: latest
-- The newest result, and the time of the open request.
SELECT r.run_id, r.asked_at, r.started_at, r.finished_at, r.ok, r.checks::text AS checks, r.failure,
       (SELECT w.asked_at FROM audit_runs w WHERE w.finished_at IS NULL) AS requested_at
  FROM (SELECT 1) one
  LEFT JOIN LATERAL (
       SELECT * FROM audit_runs r WHERE r.finished_at IS NOT NULL ORDER BY r.run_id DESC LIMIT 1) r ON true;

-- name: measure
-- The newest result: the seconds since its end, its duration in seconds, and how many checks are violated. No row
-- without a result; `violated` is null after a failure.
SELECT extract(epoch FROM clock_timestamp() - r.finished_at)::float8 AS age_s,
       extract(epoch FROM r.finished_at - r.started_at)::float8 AS duration_s,
       CASE WHEN r.ok IS NOT NULL
            THEN jsonb_array_length(jsonb_path_query_array(r.checks, '$[*] ? (@.violations > 0)'))
       END AS violated
  FROM audit_runs r
 -- no guard: { A figure for the metrics.
 WHERE r.finished_at IS NOT NULL
 ORDER BY r.run_id DESC
 LIMIT 1;
 -- no guard: }

-- name: now
-- The time of the database.
SELECT clock_timestamp() AS now;
