-- Before the first release nobody runs beside this file, so an index may be made in its transaction.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The logbook ----------------------------------------------------------------------------------------
-- What organizers did, written in the transaction of the deed: one is never there without the other.
-- `organizer_id` is whose concert it is about, and who may read of it; `request_id` is empty where a
-- command did it. Entries are read per organizer, newest first.

CREATE TABLE logbook (
    organizer_id uuid NOT NULL,
    entry_id bigint GENERATED ALWAYS AS IDENTITY,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id uuid NOT NULL,
    action text NOT NULL,
    concert_id uuid,
    schedule_id uuid,
    request_id text NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT logbook_pkey PRIMARY KEY (organizer_id, entry_id),
    CONSTRAINT logbook_action_is_named CHECK (action ~ '^[a-z]+\.[a-z_]+$'),
    CONSTRAINT logbook_details_bounded CHECK (octet_length(details::text) <= 16384)
);

CREATE FUNCTION logbook_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: what was done stays written', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'logbook_append_only';
END;
$$;

CREATE TRIGGER logbook_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON logbook
    FOR EACH STATEMENT EXECUTE FUNCTION logbook_append_only();

-- The concerts of one organizer, newest first.
CREATE INDEX concerts_by_organizer ON concerts (organizer_id, created_at, concert_id);

-- Audits ---------------------------------------------------------------------------------------------
-- A row is a wish for an audit, and later its result; one wish is open at a time.

CREATE TABLE audit_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_by uuid,
    started_at timestamptz,
    finished_at timestamptz,
    ok boolean,
    checks jsonb,
    failure text,
    CONSTRAINT audit_runs_pkey PRIMARY KEY (run_id),
    CONSTRAINT audit_runs_finished_agrees CHECK (
        (finished_at IS NULL) = (started_at IS NULL)
        AND (ok IS NULL) = (checks IS NULL)
        AND num_nonnulls(checks, failure) = CASE WHEN finished_at IS NULL THEN 0 ELSE 1 END)
);

CREATE UNIQUE INDEX audit_runs_one_wish ON audit_runs ((finished_at IS NULL)) WHERE finished_at IS NULL;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
