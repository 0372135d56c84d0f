-- `schedules` has a row per performance, and nothing that sells writes into it: an index of it is made in
-- an instant, in the transaction that forbids what it forbids.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- When a performance may be sold -----------------------------------------------------------------
-- A sale opens before its performance, and a concert is performed once at a time. What was entered
-- before these rules stays as it is: such a schedule can still be closed, or sold to its end.

ALTER TABLE schedules ADD COLUMN predates_rules boolean NOT NULL DEFAULT false;

UPDATE schedules s
   SET predates_rules = true
  FROM (SELECT o.schedule_id,
               row_number() OVER (
                   PARTITION BY o.concert_id, o.starts_at ORDER BY o.created_at, o.schedule_id) AS nth
          FROM schedules o) n
 WHERE n.schedule_id = s.schedule_id AND (n.nth > 1 OR s.sale_opens_at >= s.starts_at);

ALTER TABLE schedules ADD CONSTRAINT schedules_opens_before_start
    CHECK (predates_rules OR sale_opens_at < starts_at);

CREATE UNIQUE INDEX schedules_one_per_instant ON schedules (concert_id, starts_at)
    WHERE NOT predates_rules;

-- Who has left a waiting room --------------------------------------------------------------------
-- Written in the transaction that ends their time inside, a row per beat, and read by every process several
-- times a second: a pass whose owner has left holds nothing. `written_by` makes the reading complete. A
-- transaction that an earlier reading did not see has an id that is not below that snapshot's oldest one,
-- however long its commit took. `until_at` is when the last of their passes has ended anyhow.

CREATE TABLE queue_leavers (
    schedule_id uuid NOT NULL,
    entry_id bigint GENERATED ALWAYS AS IDENTITY,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    until_at timestamptz NOT NULL,
    numbers bigint [] NOT NULL,
    CONSTRAINT queue_leavers_pkey PRIMARY KEY (schedule_id, entry_id),
    CONSTRAINT queue_leavers_names_somebody CHECK (cardinality(numbers) > 0)
);

CREATE INDEX queue_leavers_by_transaction ON queue_leavers (written_by, entry_id);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
