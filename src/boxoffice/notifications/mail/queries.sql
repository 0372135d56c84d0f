-- The statements of mail.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: claim
-- Claims due mails for the holder of the lease with token $1, at most $4. A claim is over after $2 seconds.
-- The first claim fixes the address, the language ($3 where the person chose none) and the Message-ID, which
-- ends in $5: a repetition is the same mail.
WITH due AS (
    SELECT m.user_id, m.mail_id, coalesce(g.email, u.email) AS email, coalesce(g.name, u.name) AS name,
           coalesce(g.language, l.language, $3::text) AS language
      FROM mails m
      -- guard: mail_goes_to_its_person => LEFT JOIN users u ON true
      LEFT JOIN users u ON u.user_id = m.user_id
      -- guard: mail_has_its_persons_language => LEFT JOIN mail_languages l ON true
      LEFT JOIN mail_languages l ON l.user_id = m.user_id
      LEFT JOIN ticket_issues g
        -- A mail about a change has the reservation of the guest for the id of a person.
        -- guard: mail_goes_to_its_guest: m.kind = 'guest' => false
        -- guard: mail_about_a_change_goes_to_its_guest: ELSE m.user_id => ELSE NULL
        ON g.schedule_id = m.scope_id AND g.reservation_id = CASE WHEN m.kind = 'guest' THEN m.subject_id ELSE m.user_id END
     -- guard: mail_claim_what_waits: m.state = 'WAITING' AND =>
     -- guard: mail_claim_what_is_due: AND m.due_at <= now() =>
     WHERE m.state = 'WAITING' AND m.due_at <= now()
       -- guard: mail_claim_under_lease {
       AND EXISTS (SELECT FROM leases x
                    WHERE x.role = 'messenger' AND x.token = $1 AND x.expires_at > now())
       -- guard: }
     ORDER BY m.due_at
     -- guard: mail_claim_is_bounded: $4 => $4 + 1000
     LIMIT $4
       -- no guard: One messenger holds the lease.
       FOR NO KEY UPDATE OF m SKIP LOCKED
)
UPDATE mails m
   SET attempts = m.attempts + 1, claimed_under = $1, due_at = now() + make_interval(secs => $2),
       to_address = coalesce(m.to_address, due.email),
       language = coalesce(m.language, due.language),
       message_id = coalesce(m.message_id, m.mail_id || '@' || $5::text)
  FROM due
 -- no guard: Joins with the rows that were chosen above.
 WHERE m.user_id = due.user_id AND m.mail_id = due.mail_id
RETURNING m.user_id, m.mail_id, m.scope_id, m.subject_id, m.kind, m.queued_at, m.attempts, m.tries,
          m.to_address, m.language, m.message_id, due.name;

-- name: requeue
-- Makes due what an earlier holder of the lease had claimed.
UPDATE mails m
   SET due_at = now(), claimed_under = NULL
 -- no guard: A result has ended the claim.
 WHERE m.state = 'WAITING'
   -- guard: mail_requeue_only_of_earlier_holders => AND $1::bigint IS NOT NULL;
   AND m.claimed_under < $1;

-- name: write_result
-- Writes the result of a claimed mail: state $4, delay $5 in seconds where it waits, whether it counts as a
-- try, error.
UPDATE mails m
   SET state = $4, due_at = clock_timestamp() + make_interval(secs => $5),
       tries = m.tries + $6::boolean::integer, last_error = $7, claimed_under = NULL,
       -- no guard: Without it a constraint refuses the result.
       sent_at = CASE $4::text WHEN 'SENT' THEN clock_timestamp() END
 -- guard: mail_result_of_mail: m.mail_id = $2 => $2::uuid IS NOT NULL
 WHERE m.user_id = $1 AND m.mail_id = $2
   -- guard: mail_result_of_last_claim: m.attempts = $3 => $3::integer IS NOT NULL
   -- guard: mail_result_is_written_once: AND m.claimed_under IS NOT NULL =>
   AND m.attempts = $3 AND m.claimed_under IS NOT NULL;

-- name: receipt
-- What a receipt says about payment $2 of schedule $1, in language $3.
SELECT p.reservation_id, p.amount_minor, p.currency, p.created_at AS paid_at,
       -- no guard: { Texts in the language of the mail, where there are any.
       coalesce(CASE $3::text WHEN 'en' THEN c.title_en WHEN 'ko' THEN c.title_ko END, c.title) AS title,
       coalesce(CASE $3 WHEN 'en' THEN c.artist_en WHEN 'ko' THEN c.artist_ko END, c.artist) AS artist,
       coalesce(CASE $3 WHEN 'en' THEN v.name_en WHEN 'ko' THEN v.name_ko END, v.name, c.venue) AS venue,
       coalesce(CASE $3 WHEN 'en' THEN v.address_en WHEN 'ko' THEN v.address_ko END, v.address, '') AS address,
       -- guard: }
       s.starts_at, s.doors_at, v.time_zone, t.seats, k.order_number
  FROM payments p
  -- no guard: Schedules are never deleted.
  JOIN schedules s ON s.schedule_id = p.schedule_id
  -- guard: receipt_concert_of_schedule => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: receipt_venue_of_schedule => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('section', x.section, 'row', x.row_label, 'number', x.number,
                                         'grade', x.grade, 'price_minor', coalesce(o.price_minor, x.price_minor),
                                         'fee_minor', coalesce(o.fee_minor, 0),
                                         'price_type', coalesce(n.name, o.price_type, ''),
                                         'price_type_ko', coalesce(n.name_ko, o.price_type, ''))
                       ORDER BY t.position)::text AS seats
         FROM tickets t
         -- guard: receipt_seat_of_ticket: AND x.seat_id = t.seat_id =>
         JOIN seats x ON x.schedule_id = t.schedule_id AND x.seat_id = t.seat_id
         LEFT JOIN LATERAL (
              SELECT l.price_type, l.price_minor - l.discount_minor AS price_minor, l.fee_minor
                FROM reservations r
                -- no guard: { The prices of the payment's reservation, where offers decided them.
                JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
               CROSS JOIN LATERAL unnest(r.seat_ids, o.price_types, o.prices_minor, o.discounts_minor, o.fees_minor)
                          l (seat_id, price_type, price_minor, discount_minor, fee_minor)
               WHERE r.schedule_id = p.schedule_id AND r.reservation_id = p.reservation_id
                 -- guard: }
                 -- guard: receipt_price_of_the_seat
                 AND l.seat_id = t.seat_id
              -- no guard: Joins each seat with its price, if any; the conditions are inside.
              OFFSET 0) o ON true
         -- guard: receipt_name_of_the_price_type: AND n.code = o.price_type =>
         LEFT JOIN price_types n ON n.schedule_id = t.schedule_id AND n.code = o.price_type
        -- guard: receipt_tickets_of_payment: AND t.payment_id = p.payment_id =>
        WHERE t.schedule_id = p.schedule_id AND t.payment_id = p.payment_id) t
 -- guard: receipt_of_payment: AND p.payment_id = $2 => AND $2::uuid IS NOT NULL
 WHERE p.schedule_id = $1 AND p.payment_id = $2;

-- name: guest
-- What a mail says about the tickets of the issue $2 of schedule $1, in language $3; none once they are void.
SELECT i.reservation_id, 0::bigint AS amount_minor, s.currency, i.issued_at AS paid_at,
       -- no guard: { Texts in the language of the mail, where there are any.
       coalesce(CASE $3::text WHEN 'en' THEN c.title_en WHEN 'ko' THEN c.title_ko END, c.title) AS title,
       coalesce(CASE $3 WHEN 'en' THEN c.artist_en WHEN 'ko' THEN c.artist_ko END, c.artist) AS artist,
       coalesce(CASE $3 WHEN 'en' THEN v.name_en WHEN 'ko' THEN v.name_ko END, v.name, c.venue) AS venue,
       coalesce(CASE $3 WHEN 'en' THEN v.address_en WHEN 'ko' THEN v.address_ko END, v.address, '') AS address,
       -- guard: }
       s.starts_at, s.doors_at, v.time_zone, i.ticket_ids, t.seats, k.order_number
  FROM ticket_issues i
  -- no guard: { Schedule, concert, venue and order number of the issue, by their primary keys.
  JOIN schedules s ON s.schedule_id = i.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  LEFT JOIN order_numbers k ON k.schedule_id = i.schedule_id AND k.reservation_id = i.reservation_id
  -- guard: }
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('section', x.section, 'row', x.row_label, 'number', x.number,
                                         'grade', x.grade, 'price_minor', 0)
                       ORDER BY t.position)::text AS seats
         FROM tickets t
         -- guard: guest_mail_seat_of_ticket: AND x.seat_id = t.seat_id =>
         JOIN seats x ON x.schedule_id = t.schedule_id AND x.seat_id = t.seat_id
        -- guard: guest_mail_tickets_of_issue: AND t.ticket_id = ANY (i.ticket_ids) =>
        WHERE t.schedule_id = i.schedule_id AND t.ticket_id = ANY (i.ticket_ids)) t
 -- guard: guest_mail_of_issue: AND i.reservation_id = $2 => AND $2::uuid IS NOT NULL
 WHERE i.schedule_id = $1 AND i.reservation_id = $2
   -- guard: guest_mail_of_live_tickets
   AND i.voided_at IS NULL;

-- name: refund
-- What a mail says about refund $2 of person $1; without tickets and concert where nothing was sold.
SELECT f.amount_minor, f.fee_minor, f.currency, f.destination, c.title, p.reservation_id, f.schedule_id,
       cardinality(f.ticket_ids) AS tickets, k.order_number
  FROM refunds f
  -- no guard: A refund without a sale has none.
  LEFT JOIN schedules s ON s.schedule_id = f.schedule_id
  -- guard: refund_mail_concert_of_schedule => LEFT JOIN concerts c ON true
  LEFT JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: refund_mail_payment: AND p.payment_id = f.payment_id =>
  LEFT JOIN payments p ON p.schedule_id = f.schedule_id AND p.payment_id = f.payment_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
 -- guard: refund_mail_of_refund: AND f.refund_id = $2 => AND $2::uuid IS NOT NULL
 WHERE f.user_id = $1 AND f.refund_id = $2;

-- name: schedule_change
-- What a mail says about change $2 of schedule $1 to person $3, in language $4. The reservation is one of the
-- person's, for the link; for a guest, who has no account, $3 is their reservation.
SELECT h.kind, h.created_at, h.starts_before, h.starts_after, h.venue_before, h.venue_after,
       h.refundable_until, h.reason, j.with_compensation IS TRUE AS with_compensation, s.version,
       -- no guard: The title in the language of the mail, where there is one.
       coalesce(CASE $4::text WHEN 'en' THEN c.title_en WHEN 'ko' THEN c.title_ko END, c.title) AS title,
       v.time_zone, coalesce(g.reservation_id, r.reservation_id) AS reservation_id,
       -- no guard: { A guest has tickets, and no page.
       g.reservation_id IS NOT NULL OR r.is_paid IS TRUE AS is_paid, g.reservation_id IS NOT NULL AS is_guest,
       -- guard: }
       k.order_number
  FROM schedule_changes h
  -- no guard: { Schedule, concert, venue and refund job of the change, by their primary keys.
  JOIN schedules s ON s.schedule_id = h.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  LEFT JOIN refund_jobs j ON j.schedule_id = h.schedule_id AND j.job_id = h.refund_job_id
  -- guard: }
  LEFT JOIN LATERAL (
       SELECT r.reservation_id, r.status IN ('CONFIRMED', 'REFUNDED') AS is_paid
         FROM reservations r
        -- guard: change_mail_reservation_of_the_person: r.user_id = $3 AND => $3::uuid IS NOT NULL AND
        -- guard: change_mail_reservation_of_the_schedule: r.schedule_id = h.schedule_id => true
        WHERE r.user_id = $3 AND r.schedule_id = h.schedule_id
        -- no guard: A paid one before others, then the newest.
        ORDER BY r.status IN ('CONFIRMED', 'REFUNDED') DESC, r.reservation_id DESC
        -- no guard: Joins the change with that reservation, if any; the conditions are inside.
        LIMIT 1) r ON true
  -- guard: change_mail_issue_of_the_guest: g.reservation_id = $3 => false
  LEFT JOIN ticket_issues g ON g.schedule_id = h.schedule_id AND g.reservation_id = $3
  -- no guard: { The number of the order, by its primary key.
  LEFT JOIN order_numbers k
    ON k.schedule_id = h.schedule_id AND k.reservation_id = coalesce(g.reservation_id, r.reservation_id)
  -- guard: }
 -- guard: change_mail_of_change: AND h.change_id = $2 => AND $2::uuid IS NOT NULL
 WHERE h.schedule_id = $1 AND h.change_id = $2;

-- name: seller
-- The name in language $2, colour and logo of the organization that sells schedule $1.
SELECT b.accent,
       -- no guard: The name in the language of the mail, where there is one.
       coalesce(CASE $2::text WHEN 'en' THEN b.name_en WHEN 'ko' THEN b.name_ko END, o.name) AS name,
       b.logo_hash, b.logo_width_px, b.logo_height_px
  FROM schedules s
  -- no guard: { Concert and organization of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  JOIN organizations o ON o.organization_id = c.organization_id
  -- guard: }
  -- guard: mail_brand_of_its_organization => LEFT JOIN brands b ON true
  LEFT JOIN brands b ON b.organization_id = o.organization_id
 -- guard: mail_seller_of_the_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: seat_offer
-- What a mail says about the hold $2 of schedule $1 that a waiting list has made, in language $3; no row once the
-- hold has ended.
-- no guard: { The names in the language of the mail, where there are any.
SELECT coalesce(CASE $3::text WHEN 'en' THEN c.title_en WHEN 'ko' THEN c.title_ko END, c.title) AS title,
       coalesce(CASE $3 WHEN 'en' THEN v.name_en WHEN 'ko' THEN v.name_ko END, v.name, c.venue) AS venue,
       -- guard: }
       s.starts_at, v.time_zone, r.expires_at, r.amount_minor, r.currency, t.seats
  FROM reservations r
  -- no guard: { Schedule, concert and venue of the hold, by their primary keys.
  JOIN schedules s ON s.schedule_id = r.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: }
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('section', x.section, 'row', x.row_label, 'number', x.number,
                                         'grade', x.grade, 'price_minor', x.price_minor)
                       ORDER BY x.ordinal)::text AS seats
         FROM seats x
        -- guard: seat_offer_seats_of_the_hold: AND x.seat_id = ANY (r.seat_ids) =>
        WHERE x.schedule_id = r.schedule_id AND x.seat_id = ANY (r.seat_ids)) t
 -- guard: seat_offer_of_hold: AND r.reservation_id = $2 => AND $2::uuid IS NOT NULL
 WHERE r.schedule_id = $1 AND r.reservation_id = $2
   -- guard: seat_offer_that_can_be_paid
   AND r.status = 'HELD' AND r.expires_at > clock_timestamp();

-- name: invitation
-- Notes the hash of the token of invitation $1, and returns what its mail says.
SELECT organization_name, inviter_name, email, role, language, expires_at
  FROM organizations_send_invitation_v1($1, $2);

-- name: decision
-- What the mail about application $1 says.
SELECT organization_name, state, reason FROM organizations_decision_v1($1);

-- name: account_link
-- Notes the hash of the token of link $1, and returns what its mail says.
SELECT purpose, email, language, ttl_s FROM accounts_send_link_v1($1, $2);

-- name: address_before
-- The address that link $1 has replaced.
SELECT accounts_address_before_v1($1) AS email;

-- name: report
-- What the mail $1 about a report says.
SELECT r.report, r.frequency, r.first_day, r.last_day, o.name AS organization_name, r.totals::text AS totals
  FROM report_mails r
  -- guard: report_mail_names_its_organization => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = r.organization_id
 -- guard: report_mail_has_its_figures => WHERE $1::uuid IS NOT NULL
 WHERE r.report_mail_id = $1;

-- name: forget
-- Deletes mails that ended and were queued more than $1 seconds ago, at most $2.
DELETE FROM mails m
 USING (SELECT o.user_id, o.mail_id
          FROM mails o
         -- guard: mail_what_waits_is_kept: o.state <> 'WAITING' => true
         WHERE o.state <> 'WAITING'
           -- guard: mail_history_is_kept => AND $1::float8 IS NOT NULL
           AND o.queued_at < now() - make_interval(secs => $1)
         ORDER BY o.queued_at
         -- no guard: Bounds the work of one call.
         LIMIT $2) old
 -- no guard: Joins with the rows that were chosen above.
 WHERE m.user_id = old.user_id AND m.mail_id = old.mail_id
RETURNING 1;

-- name: backlog
-- How many mails wait, and for how many seconds the oldest has been due.
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(m.due_at)), 0)::float8 AS overdue_s
  FROM mails m
 -- no guard: A figure for the metrics.
 WHERE m.state = 'WAITING';

-- name: language
-- The language that a person chose for mail.
-- guard: mail_language_of_person => SELECT language FROM mail_languages WHERE $1::uuid IS NOT NULL;
SELECT language FROM mail_languages WHERE user_id = $1;

-- name: choose_language
-- Sets the language of a person's mail.
INSERT INTO mail_languages (user_id, language) VALUES ($1, $2)
-- no guard: Without it the primary key refuses the second choice.
ON CONFLICT (user_id) DO UPDATE SET language = excluded.language;
