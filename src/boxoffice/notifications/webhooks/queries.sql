-- The statements of webhook endpoints and deliveries. The column organizer_id has the organization.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: lock_organizer
-- Serializes what one organization creates, so that the limit holds and a repetition finds the first request.
-- guard: webhook_creations_of_organizer_take_turns => SELECT $1::uuid;
SELECT pg_advisory_xact_lock(uuid_hash_extended($1::uuid, 11));

-- name: by_creation_key
-- What a request with this key has created, deleted or not.
SELECT endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, secret, created_at, previous_until
  FROM webhook_endpoints
 -- guard: webhook_creation_key_is_per_organizer: organizer_id = $1 => $1::uuid IS NOT NULL
 -- guard: webhook_creation_key_is_compared: creation_key = $2 => $2::text IS NOT NULL
 WHERE organizer_id = $1 AND creation_key = $2;

-- name: count_endpoints
-- How many endpoints an organization has.
SELECT count(*) AS endpoints
  FROM webhook_endpoints
 -- guard: webhook_limit_counts_own: organizer_id = $1 => $1::uuid IS NOT NULL
 -- guard: webhook_limit_forgets_deleted: AND state <> 'DELETED' =>
 WHERE organizer_id = $1 AND state <> 'DELETED';

-- name: insert_endpoint
-- Adds an endpoint.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, created_at, previous_until;

-- name: endpoints
-- The endpoints of the organizations $1, or of all for null, newest first, before a cursor.
SELECT endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, created_at, previous_until
  FROM webhook_endpoints
 -- guard: webhook_endpoints_only_own: organizer_id = ANY ($1::uuid[]) => true
 WHERE ($1::uuid[] IS NULL OR organizer_id = ANY ($1::uuid[]))
   -- guard: webhook_deleted_endpoints_are_gone
   AND state <> 'DELETED'
   -- guard: webhook_endpoints_page_cursor: endpoint_id < $2 => true
   AND ($2::uuid IS NULL OR endpoint_id < $2)
 ORDER BY endpoint_id DESC
 -- guard: webhook_endpoints_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: lock_endpoint
-- An endpoint of the organizations $2, locked for a change.
SELECT endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, secret, created_at, previous_until,
       rotation_key
  FROM webhook_endpoints
 -- guard: webhook_change_by_id: endpoint_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: webhook_change_only_own: AND organizer_id = ANY ($2::uuid[]) => AND $2::uuid[] IS NOT NULL
 -- guard: webhook_change_of_deleted: AND state <> 'DELETED' =>
 WHERE endpoint_id = $1 AND organizer_id = ANY ($2::uuid[]) AND state <> 'DELETED'
   -- guard: webhook_changes_take_turns => ;
   FOR NO KEY UPDATE;

-- name: own_endpoint
-- An endpoint of the organizations $2, or of any for null.
SELECT endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, created_at, previous_until
  FROM webhook_endpoints
 -- guard: webhook_look_by_id: endpoint_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: webhook_look_at_deleted: state <> 'DELETED' => true
 WHERE endpoint_id = $1 AND state <> 'DELETED'
   -- guard: webhook_look_only_own: organizer_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR organizer_id = ANY ($2::uuid[]));

-- name: update_endpoint
-- Changes a locked endpoint.
UPDATE webhook_endpoints
   SET url = $2, topics = $3, state = $4, disabled_reason = $5
 -- guard: webhook_only_this_endpoint_changes => WHERE $1::uuid IS NOT NULL
 WHERE endpoint_id = $1
RETURNING endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, created_at, previous_until;

-- name: rotate_secret
-- Gives a locked endpoint a new secret; the one that its receiver knows signs for $4 seconds more.
UPDATE webhook_endpoints
   SET secret = $2, rotation_key = $3, previous_secret = secret,
       previous_until = clock_timestamp() + make_interval(secs => $4)
 -- guard: webhook_only_this_secret_rotates => WHERE $1::uuid IS NOT NULL
 WHERE endpoint_id = $1
RETURNING endpoint_id, organizer_id AS organization_id, url, topics, state, disabled_reason, created_at, previous_until;

-- name: delete_endpoint
-- Ends a locked endpoint and forgets its secrets; its row goes with its last delivery.
UPDATE webhook_endpoints
   SET state = 'DELETED', secret = NULL, previous_secret = NULL, previous_until = NULL
 -- guard: webhook_only_this_endpoint_is_deleted => WHERE $1::uuid IS NOT NULL
 WHERE endpoint_id = $1;

-- name: queue_test
-- Queues an event for one endpoint only; its id is negative.
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body)
SELECT $1, nextval('webhook_test_ids'), t.at, t.at, $2::text,
       jsonb_build_object('type', $2::text, 'timestamp', to_char(t.at AT TIME ZONE 'UTC',
                          'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'data', '{}'::jsonb)::text
  FROM clock_timestamp() t (at)
RETURNING event_id, topic, queued_at, state, tries, due_at, tried_at, last_status, last_error, last_answer,
          body;

-- name: deliveries
-- The deliveries of an endpoint, newest first, before a cursor; optionally those of one state.
SELECT event_id, topic, queued_at, state, tries, due_at, tried_at, last_status, last_error, last_answer, body
  FROM webhook_deliveries
 -- guard: webhook_deliveries_of_endpoint: endpoint_id = $1 => $1::uuid IS NOT NULL
 WHERE endpoint_id = $1
   -- guard: webhook_deliveries_page_cursor: (queued_at, event_id) < ($2, $3) => $3::bigint IS NOT NULL
   AND ($2::timestamptz IS NULL OR (queued_at, event_id) < ($2, $3))
   -- guard: webhook_deliveries_of_state: state = $4 => true
   AND ($4::text IS NULL OR state = $4)
 ORDER BY queued_at DESC, event_id DESC
 -- guard: webhook_deliveries_page_limit: $5 => $5 + 9
 LIMIT $5;

-- name: replay
-- Sends an event again, now, with all its tries. A result that is still to come from before is not written.
UPDATE webhook_deliveries
   SET state = 'WAITING', due_at = clock_timestamp(), tries = 0, attempts = attempts + 1,
       claimed_under = NULL
 -- guard: webhook_replay_of_this_endpoint: endpoint_id = $1 => $1::uuid IS NOT NULL
 -- guard: webhook_replay_of_this_event: AND event_id = $2 => AND $2::bigint IS NOT NULL
 WHERE endpoint_id = $1 AND event_id = $2
RETURNING event_id, topic, queued_at, state, tries, due_at, tried_at, last_status, last_error, last_answer,
          body;

-- name: claim
-- Claims due deliveries for the holder of the lease with token $1, the longest due first, at most $6. A
-- claim is over after $2 seconds. $3, $4: how many more each known endpoint may have in memory; $5 of others.
WITH due AS (
    SELECT w.endpoint_id, d.event_id, w.url, w.secret,
           -- guard: webhook_previous_secret_signs_until => w.previous_secret AS previous_secret
           CASE WHEN w.previous_until > now() THEN w.previous_secret END AS previous_secret
      FROM webhook_endpoints w
      -- no guard: Bounds what is in memory.
      LEFT JOIN unnest($3::uuid[], $4::integer[]) m (endpoint_id, room) ON m.endpoint_id = w.endpoint_id
     CROSS JOIN LATERAL (
           SELECT d.event_id, d.due_at
             FROM webhook_deliveries d
            -- guard: webhook_claim_of_endpoint: d.endpoint_id = w.endpoint_id => true
            -- guard: webhook_claim_what_waits: AND d.state = 'WAITING' =>
            -- guard: webhook_claim_what_is_due: AND d.due_at <= now() =>
            WHERE d.endpoint_id = w.endpoint_id AND d.state = 'WAITING' AND d.due_at <= now()
            ORDER BY d.due_at
            -- guard: webhook_claim_has_room: coalesce(m.room, $5) => $5 + 1000
            LIMIT coalesce(m.room, $5)
              -- no guard: One messenger holds the lease; a replay that has the row is due at the next claim.
              FOR NO KEY UPDATE SKIP LOCKED) d
     -- guard: webhook_claim_for_active_endpoints: w.state = 'ACTIVE' => true
     WHERE w.state = 'ACTIVE'
       -- guard: webhook_claim_under_lease {
       AND EXISTS (SELECT FROM leases l
                    WHERE l.role = 'messenger' AND l.token = $1 AND l.expires_at > now())
       -- guard: }
     ORDER BY d.due_at
     -- no guard: Bounds what is in memory.
     LIMIT $6
)
UPDATE webhook_deliveries d
   SET attempts = d.attempts + 1, claimed_under = $1, due_at = now() + make_interval(secs => $2)
  FROM due
 -- no guard: Joins with the rows that were chosen above.
 WHERE d.endpoint_id = due.endpoint_id AND d.event_id = due.event_id
RETURNING d.endpoint_id, d.event_id, d.attempts, d.tries, d.body, due.url, due.secret, due.previous_secret,
          extract(epoch FROM clock_timestamp())::float8 AS claimed_at_s;

-- name: requeue
-- Makes due what an earlier holder of the lease had claimed; $2: the longest life of a claim in seconds.
UPDATE webhook_deliveries d
   SET due_at = now(), claimed_under = NULL
  FROM webhook_endpoints w
 -- no guard: { A range of the index that has every claim.
 WHERE d.endpoint_id = w.endpoint_id AND d.state = 'WAITING'
   AND d.due_at <= now() + make_interval(secs => $2)
   -- guard: }
   -- guard: webhook_requeue_only_of_earlier_holders => AND $1::bigint IS NOT NULL;
   AND d.claimed_under < $1;

-- name: write_results
-- Writes the results of claimed deliveries: state, delay in seconds where it waits, status, error, answer.
UPDATE webhook_deliveries d
   SET state = r.state, tries = d.tries + 1, tried_at = clock_timestamp(), claimed_under = NULL,
       due_at = clock_timestamp() + make_interval(secs => r.delay_s),
       last_status = r.status, last_error = r.error, last_answer = r.answer
  FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], $5::float8[], $6::integer[], $7::text[],
              $8::text[])
       r (endpoint_id, event_id, attempts, state, delay_s, status, error, answer)
 -- guard: webhook_result_of_endpoint: d.endpoint_id = r.endpoint_id AND =>
 -- guard: webhook_result_of_event: AND d.event_id = r.event_id =>
 WHERE d.endpoint_id = r.endpoint_id AND d.event_id = r.event_id
   -- guard: webhook_result_of_last_claim
   AND d.attempts = r.attempts
   -- guard: webhook_result_is_written_once => ;
   AND d.claimed_under IS NOT NULL;

-- name: disable_gone
-- Disables an endpoint whose receiver said that it is gone, unless its address has been changed since.
UPDATE webhook_endpoints
   SET state = 'DISABLED', disabled_reason = 'gone'
 -- guard: webhook_gone_disables_this_endpoint: endpoint_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: webhook_gone_is_told_once: AND state = 'ACTIVE' =>
 -- guard: webhook_gone_was_this_address: AND url = $2 => AND $2::text IS NOT NULL
 WHERE endpoint_id = $1 AND state = 'ACTIVE' AND url = $2
RETURNING organizer_id AS organization_id;

-- name: forget
-- Deletes deliveries that were queued more than $1 seconds ago, at most $2.
DELETE FROM webhook_deliveries d
 USING (SELECT o.endpoint_id, o.event_id
          FROM webhook_endpoints w
         CROSS JOIN LATERAL (
               SELECT o.endpoint_id, o.event_id
                 FROM webhook_deliveries o
                -- no guard: Follows the index; the age decides.
                WHERE o.endpoint_id = w.endpoint_id
                  -- guard: webhook_history_is_kept => AND $1::float8 IS NOT NULL
                  AND o.queued_at < now() - make_interval(secs => $1)
                ORDER BY o.queued_at
                -- no guard: Bounds the work of one call.
                LIMIT $2) o
         -- no guard: Bounds the work of one call.
         LIMIT $2) old
 -- no guard: Joins with the rows that were chosen above.
 WHERE d.endpoint_id = old.endpoint_id AND d.event_id = old.event_id
RETURNING 1;

-- name: forget_endpoints
-- Deletes deleted endpoints without deliveries.
DELETE FROM webhook_endpoints w
 -- guard: webhook_row_of_deleted_endpoint_goes: w.state = 'DELETED' AND =>
 WHERE w.state = 'DELETED' AND NOT EXISTS (
       -- no guard: Behind it the foreign key refuses.
       SELECT FROM webhook_deliveries d WHERE d.endpoint_id = w.endpoint_id);

-- name: backlog
-- How many deliveries wait for active endpoints, and for how many seconds the oldest has been due.
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 AS overdue_s
  FROM webhook_endpoints w
  -- no guard: A figure for the metrics.
  JOIN webhook_deliveries d ON d.endpoint_id = w.endpoint_id AND d.state = 'WAITING'
 -- no guard: A figure for the metrics.
 WHERE w.state = 'ACTIVE';
