-- Every statement of the events room.

-- name: oldest
-- The oldest events, at most $1, of the topics that this release knows; the others wait for the
-- release that wrote them.
SELECT o.event_id, o.scope_id, o.topic, o.subject_id, o.user_id, o.payload::text AS payload, o.created_at
  FROM outbox o
 WHERE o.topic = ANY ($2::text[])
 ORDER BY o.event_id
 LIMIT $1;

-- name: delete
-- Forget events that the stream has; by id, so that a second relay does no harm.
DELETE FROM outbox o WHERE o.event_id = ANY ($1::bigint[]);

-- name: take_lease
-- The fencing token of role $1 for holder $2 for the next $3 milliseconds, or null.
SELECT leases_take_v1($1, $2, $3) AS token;

-- name: release_lease
-- Give the lease of role $1, held by $2 under token $3, back.
SELECT leases_release_v1($1, $2, $3) AS released;
