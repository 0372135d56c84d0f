-- name: now
-- The database's time, in seconds since the Unix epoch.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now;

-- name: is_migrated
-- Whether this release's schema is there, as far as a start needs to know.
SELECT to_regproc('reservations_hold_v1') IS NOT NULL
   AND to_regproc('payments_pay_v1') IS NOT NULL AS migrated;
