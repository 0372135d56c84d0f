-- Every statement of the outbox.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: oldest
-- The events of the oldest rows, at most $1 or those of one row, of the topics known to this release; the
-- others wait for the release that wrote them. An event id is made of its row and its index in the row.
SELECT (o.batch_id << 16) + e.at AS event_id, o.scope_id, o.topic, e.subject_id, e.user_id,
       jsonb_strip_nulls(jsonb_build_object(
           'reservation', e.reservation_id,
           'seat_ids', o.seat_ids[coalesce(o.seats_to[e.at - 1], 0) + 1:e.seats_to],
           'amount', e.amount_minor, 'currency', o.currency, 'expires_at', o.expires_at
       ))::text AS payload, o.created_at
  FROM (SELECT o.*, row_number() OVER oldest AS nth,
               sum(cardinality(o.subject_ids)) OVER oldest AS events
          FROM (SELECT * FROM outbox o
                 -- guard: relay_only_topics_that_this_release_knows => WHERE $2::text[] IS NOT NULL
                 WHERE o.topic = ANY ($2::text[])
                 ORDER BY o.batch_id
                 -- no guard: Bounds the rows read; the condition below bounds the result.
                 LIMIT $1) o
        WINDOW oldest AS (ORDER BY o.batch_id)) o
 CROSS JOIN LATERAL unnest(o.subject_ids, o.user_ids, o.reservation_ids, o.amounts_minor, o.seats_to)
            WITH ORDINALITY e (subject_id, user_id, reservation_id, amount_minor, seats_to, at)
 -- guard: relay_row_too_long_is_published_without_rows: nth = 1 OR o. =>
 -- guard: relay_page_limit_events => WHERE true
 WHERE o.nth = 1 OR o.events <= $1
 ORDER BY event_id;

-- name: oldest_age
-- The age of the oldest event of the topics known to this release, in seconds; 0 without one.
SELECT coalesce((SELECT greatest(0, extract(epoch FROM clock_timestamp() - o.created_at))::float8
                   FROM outbox o
                  -- no guard: A figure for the metrics.
                  WHERE o.topic = ANY ($1::text[])
                  ORDER BY o.batch_id
                  -- no guard: A subquery of more rows would fail.
                  LIMIT 1), 0) AS age_s;

-- name: subscribed
-- Of these schedules, those whose events are wanted as webhooks.
SELECT s.schedule_id FROM notifications_subscribed_v1($1::uuid[]) s (schedule_id);

-- name: delete
-- Deletes published rows, by id, and queues their webhooks and mails in the same transaction. A row that a
-- second relay has deleted is not returned here, so each event is queued once. $2 to $6: the events that are
-- wanted as webhooks.
WITH gone AS (
    DELETE FROM outbox o
     -- guard: relay_forgets_what_was_delivered_and_nothing_else => WHERE $1::bigint[] IS NOT NULL
     WHERE o.batch_id = ANY ($1::bigint[])
    RETURNING o.batch_id, o.scope_id, o.topic, o.subject_ids, o.user_ids
)
SELECT coalesce(sum(notifications_queue_mails_v1(g.topic, g.scope_id, g.subject_ids, g.user_ids)), 0)
           ::bigint AS mails,
       notifications_queue_deliveries_v1(
           array_agg(g.batch_id), $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[]
       ) AS deliveries
  FROM gone g;
