-- What the relay queues while it deletes events from the outbox.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Of these schedules, those whose organization has an active webhook endpoint.
CREATE OR REPLACE FUNCTION notifications_subscribed_v1(p_schedule_ids uuid[])
RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    SELECT s.schedule_id
      FROM unnest(p_schedule_ids) p (schedule_id)
      -- guard: subscribed_schedules_that_were_named => JOIN schedules s ON true
      JOIN schedules s ON s.schedule_id = p.schedule_id
      -- guard: subscribed_concert_of_schedule => JOIN concerts c ON true
      JOIN concerts c ON c.concert_id = s.concert_id
     -- no guard: Head of the conditions below, which are guards.
     WHERE EXISTS (SELECT FROM webhook_endpoints w
                    -- guard: subscribed_organizer_of_concert: w.organizer_id = c.organization_id AND =>
                    -- no guard: Saves the bodies; an inactive endpoint gets no delivery anyhow.
                    WHERE w.organizer_id = c.organization_id AND w.state = 'ACTIVE')
$$;

-- Queue a delivery of each event for each active endpoint of its organization that wants its topic. Per event:
-- id, public topic, time, schedule, and the JSON of its data. p_batch_ids: the rows of the outbox that this
-- statement has deleted; events of other rows are another relay's. Returns how many.
CREATE OR REPLACE FUNCTION notifications_queue_deliveries_v1(
    p_batch_ids bigint[],
    p_event_ids bigint[],
    p_topics text[],
    p_times text[],
    p_schedule_ids uuid[],
    p_data text[]
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    queued_at CONSTANT timestamptz := clock_timestamp();
    queued bigint;
BEGIN
    -- no guard: Saves the statement where no event is wanted.
    IF cardinality(p_event_ids) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body)
    SELECT w.endpoint_id, e.event_id, queued_at, queued_at, e.topic,
           '{"type":"' || e.topic || '","timestamp":"' || e.at || '","data":' || e.data || '}'
      FROM unnest(p_event_ids, p_topics, p_times, p_schedule_ids, p_data)
           e (event_id, topic, at, schedule_id, data)
      -- guard: delivery_schedule_of_event => JOIN schedules s ON true
      JOIN schedules s ON s.schedule_id = e.schedule_id
      -- guard: delivery_concert_of_schedule => JOIN concerts c ON true
      JOIN concerts c ON c.concert_id = s.concert_id
      -- guard: delivery_only_to_its_organizer => JOIN webhook_endpoints w ON true
      JOIN webhook_endpoints w ON w.organizer_id = c.organization_id
     -- guard: delivery_of_rows_that_this_relay_deleted: (e.event_id >> 16) = ANY (p_batch_ids) => true
     -- guard: delivery_only_to_active_endpoints: AND w.state = 'ACTIVE' =>
     WHERE (e.event_id >> 16) = ANY (p_batch_ids) AND w.state = 'ACTIVE'
       -- guard: delivery_only_of_wanted_topics
       AND w.topics && ARRAY['*', e.topic]
    -- no guard: A deleted row of the outbox has no second event of the same id.
    ON CONFLICT DO NOTHING;
    -- no guard: A figure for the metrics.
    GET DIAGNOSTICS queued = ROW_COUNT;
    RETURN queued;
END;
$$;

-- Queue the mails of one row of the outbox: topic and scope as stored there, subjects and persons per event.
-- Returns how many. A new kind of mail is one more line of the CASE.
CREATE OR REPLACE FUNCTION notifications_queue_mails_v1(
    p_topic text,
    p_scope_id uuid,
    p_subject_ids uuid[],
    p_user_ids uuid[]
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    mailed CONSTANT text := CASE p_topic
        -- guard: mail_receipt_of_payment
        WHEN 'payment.succeeded' THEN 'receipt'
        -- guard: mail_refund_that_succeeded
        WHEN 'refund.succeeded' THEN 'refund'
        -- guard: mail_refund_that_failed
        WHEN 'refund.failed' THEN 'refund_failed'
    END;
    queued bigint;
BEGIN
    -- guard: mail_only_of_its_topics => IF false THEN
    IF mailed IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO mails (user_id, scope_id, subject_id, kind)
    SELECT m.user_id, p_scope_id, m.subject_id, mailed
      FROM unnest(p_subject_ids, p_user_ids) m (subject_id, user_id)
     -- guard: mail_none_to_house_accounts
     WHERE NOT EXISTS (SELECT FROM house_accounts h WHERE h.user_id = m.user_id)
    -- guard: mail_once_per_subject => ;
    ON CONFLICT DO NOTHING;
    -- no guard: A figure for the metrics.
    GET DIAGNOSTICS queued = ROW_COUNT;
    RETURN queued;
END;
$$;

-- Queue the mail with the tickets of a guest, in the transaction that issues them. p_user_id: the house account
-- of the concert. The issue has the guest's address.
CREATE OR REPLACE FUNCTION notifications_queue_guest_v1(
    p_user_id uuid, p_schedule_id uuid, p_reservation_id uuid)
RETURNS void
LANGUAGE sql AS $$
INSERT INTO mails (user_id, scope_id, subject_id, kind)
VALUES (p_user_id, p_schedule_id, p_reservation_id, 'guest');
$$;

-- Queue one mail, in the transaction of its cause.
CREATE OR REPLACE FUNCTION notifications_queue_mail_v1(
    p_kind text,
    p_user_id uuid,
    p_scope_id uuid,
    p_subject_id uuid
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO mails (user_id, scope_id, subject_id, kind)
    VALUES (p_user_id, p_scope_id, p_subject_id, p_kind)
    -- no guard: A cause is written once; a constraint refuses a second mail about it.
    ON CONFLICT DO NOTHING
$$;

-- Queue a mail about an account, in the transaction of its cause. Where it is not wanted the same row is written and
-- counts as failed: the work must not show whether an address has an account.
CREATE OR REPLACE FUNCTION notifications_queue_link_v1(
    p_kind text,
    p_user_id uuid,
    p_link_id uuid,
    p_is_wanted boolean
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO mails (user_id, scope_id, subject_id, kind, state)
    -- no guard: What it means is decided by the caller, and guarded there.
    VALUES (p_user_id, p_link_id, p_link_id, p_kind, CASE WHEN p_is_wanted THEN 'WAITING' ELSE 'FAILED' END)
$$;
