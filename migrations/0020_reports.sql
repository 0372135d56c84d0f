-- Tables of their own, empty at first: an index is made in an instant.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Reports by mail --------------------------------------------------------------------------------------
-- A member gets a report of the organization once per period. `next_day` is the first day of the period that
-- the next mail is about, `due_at` when that mail is queued: at `hour` of the day after its period in
-- `time_zone`.

CREATE TABLE report_subscriptions (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL,
    next_day date NOT NULL,
    hour integer NOT NULL,
    report text NOT NULL,
    frequency text NOT NULL,
    time_zone text NOT NULL,
    CONSTRAINT report_subscriptions_pkey PRIMARY KEY (organization_id, user_id, report),
    CONSTRAINT report_subscriptions_of_organization
        FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT report_subscriptions_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT report_subscriptions_report_known CHECK (report = ANY ('{sales,settlement}'::text [])),
    CONSTRAINT report_subscriptions_frequency_known CHECK (frequency = ANY ('{daily,weekly}'::text [])),
    CONSTRAINT report_subscriptions_hour_of_day CHECK (hour BETWEEN 1 AND 23),
    CONSTRAINT report_subscriptions_time_zone_named CHECK (time_zone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,63}$')
);

CREATE INDEX report_subscriptions_due ON report_subscriptions (due_at);

-- The mail of a period, queued once: its key is the period. `totals` are the figures in the mail, fixed here,
-- so that a repetition is the same mail.
CREATE TABLE report_mails (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    report_mail_id uuid NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    first_day date NOT NULL,
    last_day date NOT NULL,
    report text NOT NULL,
    frequency text NOT NULL,
    totals jsonb NOT NULL,
    CONSTRAINT report_mails_pkey PRIMARY KEY (organization_id, user_id, report, frequency, first_day),
    CONSTRAINT report_mails_id_unique UNIQUE (report_mail_id),
    CONSTRAINT report_mails_forward CHECK (first_day <= last_day)
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
