-- name: now
-- The database's time, in seconds since the Unix epoch.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now;
