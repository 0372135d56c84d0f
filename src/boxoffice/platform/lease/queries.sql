-- Every statement about leases.

-- name: take_lease
-- The fencing token of role $1 for holder $2 for the next $3 milliseconds, or null.
SELECT leases_take_v1($1, $2, $3) AS token;

-- name: release_lease
-- Give the lease of role $1, held by $2 under token $3, back.
SELECT leases_release_v1($1, $2, $3) AS released;
