-- Statements about reports by mail.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: subscriptions
-- The reports that a person gets of an organization.
SELECT s.report, s.frequency, s.hour, s.time_zone, s.next_day, s.due_at
  FROM report_subscriptions s
 -- guard: report_mails_of_the_organization: s.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: report_mails_of_the_person: s.user_id = $2 => $2::uuid IS NOT NULL
 WHERE s.organization_id = $1 AND s.user_id = $2
 ORDER BY s.report;

-- name: choose
-- How often a person gets report $3 of an organization, and what the next mail is about.
INSERT INTO report_subscriptions AS s (
    organization_id, user_id, report, frequency, hour, time_zone, next_day, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
-- no guard: Without it the primary key refuses the second choice.
ON CONFLICT ON CONSTRAINT report_subscriptions_pkey
DO UPDATE SET frequency = excluded.frequency, hour = excluded.hour, time_zone = excluded.time_zone,
              next_day = excluded.next_day, due_at = excluded.due_at;

-- name: stop
-- Ends a report by mail.
DELETE FROM report_subscriptions s
 -- guard: report_mail_stops_of_the_organization: s.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: report_mail_stops_of_the_person: s.user_id = $2 => $2::uuid IS NOT NULL
 -- guard: report_mail_stops_one_report: AND s.report = $3 => AND $3::text IS NOT NULL
 WHERE s.organization_id = $1 AND s.user_id = $2 AND s.report = $3;

-- name: due
-- Reports whose mails are due, the oldest first, at most $1.
SELECT s.organization_id, s.user_id, s.report, s.frequency, s.hour, s.time_zone, s.next_day
  FROM report_subscriptions s
 -- guard: report_mails_that_are_due => WHERE s.due_at IS NOT NULL
 WHERE s.due_at <= clock_timestamp()
 ORDER BY s.due_at
 -- no guard: Bounds the work of one round.
 LIMIT $1;

-- name: advance
-- Moves report $3 of a person on from the period that begins on $5, for members with one of the roles $8. A
-- second process waits here, and then finds the period gone.
UPDATE report_subscriptions s
   SET next_day = $6, due_at = $7
 -- guard: report_mail_of_the_subscription: s.organization_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: report_mail_of_its_person: s.user_id = $2 AND => $2::uuid IS NOT NULL AND
 -- guard: report_mail_of_its_report: s.report = $3 => $3::text IS NOT NULL
 WHERE s.organization_id = $1 AND s.user_id = $2 AND s.report = $3
   -- guard: report_mail_of_the_chosen_frequency: s.frequency = $4 => $4::text IS NOT NULL
   AND s.frequency = $4
   -- no guard: The key of the mails refuses a second one; this keeps the period that another process has set.
   AND s.next_day = $5
   -- guard: report_mail_to_members_only { => AND $8::text [] IS NOT NULL
   AND EXISTS (SELECT FROM organization_members m
                WHERE m.organization_id = s.organization_id AND m.user_id = s.user_id
                  AND m.role = ANY ($8::text []))
   -- guard: }
RETURNING s.user_id;

-- name: end
-- Ends report $3 of a person who has none of the roles $4 any more.
DELETE FROM report_subscriptions s
 -- guard: report_mail_ends_of_the_subscription: s.organization_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: report_mail_ends_of_its_person: s.user_id = $2 => $2::uuid IS NOT NULL
 WHERE s.organization_id = $1 AND s.user_id = $2
   -- no guard: The other report of the person has no reader either.
   AND s.report = $3
   -- guard: report_mail_of_a_member_goes_on { => AND $4::text [] IS NOT NULL;
   AND NOT EXISTS (SELECT FROM organization_members m
                    WHERE m.organization_id = s.organization_id AND m.user_id = s.user_id
                      AND m.role = ANY ($4::text []));
   -- guard: }

-- name: record
-- The mail about a period, with its figures; no row if there is one.
INSERT INTO report_mails (
    organization_id, user_id, report, frequency, first_day, last_day, report_mail_id, totals)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)
-- no guard: A period that was moved on is not queued again; a mail that exists is not queued twice.
ON CONFLICT ON CONSTRAINT report_mails_pkey DO NOTHING RETURNING report_mail_id;

-- name: queue
-- Queues the mail, in the transaction of its record.
SELECT notifications_queue_mail_v1('report', $1::uuid, $2::uuid, $3::uuid);
