-- One normal run of the shop through the functions that write: top up, hold, pay, release, expire, take a
-- lapsed hold over, and refund. What becomes of the reservations, by the last digit of their ids:
--   1 paid from the wallet (S01, S02)      2 held (S03)               3 lapsed, not swept (S04, S05)
--   4 lapsed and swept (S06)               5 cancelled (S07)          6 lapsed, taken over by 7 (S08)
--   7 held (S08)                           8 free of charge, paid (S09)  9 paid through toss (S10)
--   a paid through toss (S15, S16), S15 returned for a fee   b paid from the wallet (S17), all returned
--   c paid through toss (S18), all returned, and toss refuses the refund
-- S11 is blocked, S12 to S14 were never wanted. S06, S07 and S17, which are free again, cost less in the end;
-- S13 was blocked and is free.

INSERT INTO users (user_id, email, name, password_hash, role)
SELECT ('00000000-0000-7000-8000-00000000000' || i)::uuid, 'u' || i || '@example.org', 'U' || i, '-',
       CASE i WHEN 0 THEN 'organizer' ELSE 'buyer' END
  FROM generate_series(0, 3) i;
INSERT INTO wallets (user_id, currency) SELECT user_id, 'KRW' FROM users;

INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, status, published_at)
VALUES ('00000000-0000-7000-8000-0000000000c0', '00000000-0000-7000-8000-000000000000',
        'T', 'A', 'V', 'PUBLISHED', clock_timestamp());
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency, hold_ttl_s,
                       ticket_limit)
VALUES ('00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-0000000000c0',
        clock_timestamp() + interval '30 days', clock_timestamp() - interval '1 day', 'OPEN', 'KRW',
        86400, 4);
INSERT INTO seats (schedule_id, price_minor, ordinal, number, state, seat_id, section, row_label, grade)
SELECT '00000000-0000-7000-8000-0000000000aa', CASE WHEN i = 9 THEN 0 WHEN i > 14 THEN 1000 ELSE 1000 * i END, i, i,
       CASE i WHEN 11 THEN 'BLOCKED' ELSE 'AVAILABLE' END, 'S' || lpad(i::text, 2, '0'), 'S', '1', 'R'
  FROM generate_series(1, 18) i;

SELECT payments_charge_v1(
    ARRAY['00000000-0000-7000-8000-0000000000d1', '00000000-0000-7000-8000-0000000000d2']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002']::uuid[],
    ARRAY[50000, 7000], ARRAY['c1', 'c2'], ARRAY['\x01', '\x02']::bytea[], 1000000);

SELECT reservations_hold_v2(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-0000000000b1', '00000000-0000-7000-8000-0000000000b2',
          '00000000-0000-7000-8000-0000000000b3', '00000000-0000-7000-8000-0000000000b4',
          '00000000-0000-7000-8000-0000000000b5', '00000000-0000-7000-8000-0000000000b6',
          '00000000-0000-7000-8000-0000000000b8', '00000000-0000-7000-8000-0000000000b9']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002',
          '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001',
          '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000003',
          '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k8', 'k9'],
    ARRAY['\x01', '\x02', '\x03', '\x04', '\x05', '\x06', '\x08', '\x09']::bytea[],
    ARRAY['S01', 'S02', 'S03', 'S04', 'S05', 'S06', 'S07', 'S08', 'S09', 'S10'],
    ARRAY[2, 1, 2, 1, 1, 1, 1, 1], ARRAY[2, 3, 5, 6, 7, 8, 9, 10], ARRAY[1, 1, 2, 3, 3, 4, 5, 6, 7, 8],
    false);

SELECT payments_pay_v3(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-0000000000e1', '00000000-0000-7000-8000-0000000000e8']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000f1', '00000000-0000-7000-8000-0000000000f8']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000001']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000b1', '00000000-0000-7000-8000-0000000000b8']::uuid[],
    ARRAY['wallet', 'wallet'], NULL, NULL, ARRAY['p1', 'p8'], ARRAY['\x01', '\x08']::bytea[], false);

SELECT payments_open_intents_v1(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-0000000000a9']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000b9']::uuid[], ARRAY['toss'], ARRAY[2400], ARRAY['p9'],
    ARRAY['\x09']::bytea[], 300);
SELECT payments_begin_confirm_v1(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000a9']::uuid[], ARRAY['outside-1'],
    ARRAY['00000000-0000-7000-8000-0000000000ca']::uuid[], 90, 65);
SELECT payments_settle_v1(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000a9']::uuid[], ARRAY['outside-1'], ARRAY['capture-1'],
    ARRAY[10000], ARRAY['KRW'], ARRAY[clock_timestamp()], ARRAY[true],
    ARRAY['00000000-0000-7000-8000-000000000029']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000f9']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000e9']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000039']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000049']::uuid[]);

SELECT reservations_release_v2(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-0000000000a5']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000002']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000b5']::uuid[]);

-- Two days pass for one hold, and the sweeper closes it.
UPDATE reservations SET created_at = created_at - interval '2 days',
                        expires_at = expires_at - interval '2 days' WHERE idempotency_key = 'k4';
UPDATE seats SET expires_at = expires_at - interval '2 days' WHERE seat_id = 'S06';
INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
SELECT schedule_id, expires_at, reservation_id, ARRAY[reservation_id]
  FROM reservations WHERE idempotency_key = 'k4';
SELECT reservations_expire_v2('00000000-0000-7000-8000-0000000000aa', 100);

-- And for two others, which are not swept; one is taken over.
UPDATE reservations SET created_at = created_at - interval '2 days',
                        expires_at = expires_at - interval '2 days' WHERE idempotency_key IN ('k3', 'k6');
UPDATE seats SET expires_at = expires_at - interval '2 days' WHERE seat_id IN ('S04', 'S05', 'S08');
INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
SELECT schedule_id, expires_at, reservation_id, ARRAY[reservation_id]
  FROM reservations WHERE idempotency_key IN ('k3', 'k6');
SELECT reservations_hold_v2(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-0000000000b7']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000002']::uuid[], ARRAY['k7'], ARRAY['\x07']::bytea[],
    ARRAY['S08'], ARRAY[1], ARRAY[1], ARRAY[1], true);

-- Tickets are sold and returned.
SELECT reservations_hold_v2(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-0000000000ba',
          '00000000-0000-7000-8000-0000000000bb',
          '00000000-0000-7000-8000-0000000000bc']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000003',
          '00000000-0000-7000-8000-000000000001',
          '00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['ka', 'kb', 'kc'], ARRAY['\x0a', '\x0b', '\x0c']::bytea[], ARRAY['S15', 'S16', 'S17', 'S18'],
    ARRAY[2, 1, 1], ARRAY[2, 3, 4], ARRAY[1, 1, 2, 3], false);
SELECT payments_pay_v3(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-0000000000eb']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000fb']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000bb']::uuid[], ARRAY['wallet'], NULL, NULL, ARRAY['pb'],
    ARRAY['\x0b']::bytea[], true);
SELECT payments_open_intents_v1(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-00000000001a', '00000000-0000-7000-8000-00000000001c']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000ba', '00000000-0000-7000-8000-0000000000bc']::uuid[],
    ARRAY['toss', 'toss'], ARRAY[2400, 2400], ARRAY['pa', 'pc'], ARRAY['\x0a', '\x0c']::bytea[], 300);
SELECT payments_settle_v1(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-00000000001a', '00000000-0000-7000-8000-00000000001c']::uuid[],
    ARRAY['pk-a', 'pk-c'], ARRAY['capture-a', 'capture-c'], ARRAY[2000, 1000], ARRAY['KRW', 'KRW'],
    ARRAY[clock_timestamp(), clock_timestamp()], ARRAY[true, true],
    ARRAY['00000000-0000-7000-8000-00000000002a', '00000000-0000-7000-8000-00000000002c']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000fa', '00000000-0000-7000-8000-0000000000fc']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000ea', '00000000-0000-7000-8000-0000000000ec']::uuid[],
    ARRAY['00000000-0000-7000-8000-00000000003a', '00000000-0000-7000-8000-00000000003c']::uuid[],
    ARRAY['00000000-0000-7000-8000-00000000004a', '00000000-0000-7000-8000-00000000004c']::uuid[]);
SELECT refunds_decide_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-0000000000ea',
    '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000091',
    ARRAY['00000000-0000-7000-8000-000000000081',
          '00000000-0000-7000-8000-000000000082',
          '00000000-0000-7000-8000-000000000083']::uuid[],
    ARRAY(SELECT ticket_id FROM tickets WHERE seat_id = 'S15'), ARRAY[900], ARRAY[100], 0,
    (SELECT starts_at FROM schedules), clock_timestamp() + interval '1 hour', 'buyer', false,
    '00000000-0000-7000-8000-000000000003', NULL, 'fa', '\x01');
SELECT refunds_decide_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-0000000000eb',
    '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000092',
    ARRAY['00000000-0000-7000-8000-000000000085',
          '00000000-0000-7000-8000-000000000086',
          '00000000-0000-7000-8000-000000000087']::uuid[],
    ARRAY(SELECT ticket_id FROM tickets WHERE seat_id = 'S17'), ARRAY[1000], ARRAY[0], 0,
    (SELECT starts_at FROM schedules), clock_timestamp() + interval '1 hour', 'buyer', true,
    '00000000-0000-7000-8000-000000000001', NULL, 'fb', '\x01');
SELECT refunds_decide_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-0000000000ec',
    '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000093',
    ARRAY['00000000-0000-7000-8000-000000000088',
          '00000000-0000-7000-8000-000000000089',
          '00000000-0000-7000-8000-00000000008a']::uuid[],
    ARRAY(SELECT ticket_id FROM tickets WHERE seat_id = 'S18'), ARRAY[1000], ARRAY[0], 0,
    (SELECT starts_at FROM schedules), clock_timestamp() + interval '1 hour', 'buyer', false,
    '00000000-0000-7000-8000-000000000003', NULL, 'fc', '\x01');
SELECT refunds_settle_v1(
    '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000091', 'DONE', 'tx-a',
    clock_timestamp(), NULL, '00000000-0000-7000-8000-000000000084');
SELECT refunds_settle_v1(
    '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000093', 'FAILED', NULL,
    NULL, 'account closed', '00000000-0000-7000-8000-00000000008b');

-- The payment of S10 is disputed and lost, that of S16 is disputed and the provider holds the money.
SELECT disputes_settle_v1(
    'toss', 'dp-9', '00000000-0000-7000-8000-000000000061', 'outside-1', 'LOST', 10000, 'KRW', 'fraud',
    ARRAY['dp-9'], ARRAY['dispute'], ARRAY[10000], ARRAY[clock_timestamp()],
    ARRAY['00000000-0000-7000-8000-000000000062', '00000000-0000-7000-8000-000000000063']::uuid[], NULL);
SELECT disputes_settle_v1(
    'toss', 'dp-a', '00000000-0000-7000-8000-000000000064', 'pk-a', 'OPEN', 1000, 'KRW', 'fraud',
    ARRAY['dp-a'], ARRAY['dispute'], ARRAY[1000], ARRAY[clock_timestamp()],
    ARRAY['00000000-0000-7000-8000-000000000065', '00000000-0000-7000-8000-000000000066']::uuid[], NULL);

-- The payment of S15 and S16 was captured a second time, and that is owed back.
SELECT payments_settle_v1(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-000000000003']::uuid[],
    ARRAY['00000000-0000-7000-8000-00000000001a']::uuid[], ARRAY['pk-a'], ARRAY['capture-a2'], ARRAY[500],
    ARRAY['KRW'], ARRAY[clock_timestamp()], ARRAY[true],
    ARRAY['00000000-0000-7000-8000-00000000002d']::uuid[], ARRAY['00000000-0000-7000-8000-0000000000fd']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000ed']::uuid[], ARRAY['00000000-0000-7000-8000-00000000003d']::uuid[],
    ARRAY['00000000-0000-7000-8000-00000000004d']::uuid[]);

-- The organizer blocks seats, puts one back on sale, and changes prices of free seats.
UPDATE seats SET state = 'AVAILABLE' WHERE seat_id = 'S11';
SELECT inventory_change_v1('00000000-0000-7000-8000-0000000000aa', ARRAY['S11', 'S13'], 'block', NULL, NULL, 'camera',
                           'crane', '00000000-0000-7000-8000-000000000000');
SELECT inventory_change_v1('00000000-0000-7000-8000-0000000000aa', ARRAY['S13'], 'release', NULL, NULL, NULL, NULL,
                           '00000000-0000-7000-8000-000000000000');
SELECT inventory_change_v1('00000000-0000-7000-8000-0000000000aa', ARRAY['S06', 'S07', 'S17'], 'reprice', 10, 'Z', NULL,
                           NULL, '00000000-0000-7000-8000-000000000000');

-- The schedule gets offers: S19 is paid at a reduced price with a code of two uses, S20 is held at the full one.
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT '00000000-0000-7000-8000-0000000000aa', 1000, i, i, 'S' || i, 'S', '1', 'R' FROM generate_series(19, 20) i;
INSERT INTO schedule_offers (schedule_id, changed_at, fee_minor, is_limited, public_from)
VALUES ('00000000-0000-7000-8000-0000000000aa', clock_timestamp(), 50, true, NULL);
INSERT INTO price_types (schedule_id, code, ordinal, percent_off, amount_off_minor, name, name_ko, note, note_ko)
VALUES ('00000000-0000-7000-8000-0000000000aa', 'youth', 0, 50, 0, 'Youth', '청소년', '', '');
INSERT INTO sales_channels (schedule_id, code, name, is_default, quota)
VALUES ('00000000-0000-7000-8000-0000000000aa', 'web', 'Web', true, 5);
INSERT INTO code_batches (schedule_id, batch_id, created_at, created_by, amount_off_minor, percent_off, uses_max,
                          codes, is_presale, is_shared, name, idempotency_key)
VALUES ('00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-0000000000cb', clock_timestamp(),
        '00000000-0000-7000-8000-000000000000', 0, 10, 2, 1, false, true, 'Friends', 'k');
INSERT INTO offer_codes (schedule_id, code_hash, batch_id, uses_max, suffix)
VALUES ('00000000-0000-7000-8000-0000000000aa', '\xc0de', '00000000-0000-7000-8000-0000000000cb', 2, '');
INSERT INTO seat_attributes (schedule_id, seat_id, partner_id, is_accessible, note, note_ko)
VALUES ('00000000-0000-7000-8000-0000000000aa', 'S12', 'S13', true, 'Beside a pillar', '기둥 옆'),
       ('00000000-0000-7000-8000-0000000000aa', 'S13', 'S12', false, '', '');
UPDATE schedules SET has_offers = true;
SELECT offers_hold_v1(
    '00000000-0000-7000-8000-0000000000aa',
    ARRAY['00000000-0000-7000-8000-0000000000be', '00000000-0000-7000-8000-0000000000bf']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002']::uuid[],
    ARRAY['ke', 'kf'], ARRAY['\x0e', '\x0f']::bytea[], ARRAY['S19', 'S20'], ARRAY[1, 1], ARRAY[1, 2],
    ARRAY[1, 2], true, 2147483647, 0, 0, ARRAY['youth', ''], ARRAY['\xc0de', NULL]::bytea[]);
SELECT payments_pay_v3(
    '00000000-0000-7000-8000-0000000000aa', ARRAY['00000000-0000-7000-8000-0000000000ef']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000001ff']::uuid[], ARRAY['00000000-0000-7000-8000-000000000001']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000be']::uuid[], ARRAY['wallet'], NULL, NULL, ARRAY['pe'],
    ARRAY['\x0e']::bytea[], true);
-- S07 is given to a guest, and S17 sold at the box office. S06 was sold there and is void.
SELECT issues_house_v1('00000000-0000-7000-8000-0000000000c0', '00000000-0000-7000-8000-000000000009', 'KRW');
SELECT issues_issue_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-000000000009',
    '00000000-0000-7000-8000-0000000001b1', NULL, '00000000-0000-7000-8000-0000000001f1', NULL, NULL, NULL,
    ARRAY['00000000-0000-7000-8000-000000000151']::uuid[], ARRAY['S07'],
    '00000000-0000-7000-8000-000000000000', 'Guest', 'guest@example.org', 'en', 'press', '', 'Press', 'i1', '\x01');
SELECT issues_issue_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-000000000009',
    '00000000-0000-7000-8000-0000000001b2', '00000000-0000-7000-8000-0000000001e2',
    '00000000-0000-7000-8000-0000000001f2', 'cash', 'cash', 10,
    ARRAY['00000000-0000-7000-8000-000000000152']::uuid[], ARRAY['S17'],
    '00000000-0000-7000-8000-000000000000', '', NULL, NULL, '', '', '', 'i2', '\x02');
SELECT issues_issue_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-000000000009',
    '00000000-0000-7000-8000-0000000001b3', '00000000-0000-7000-8000-0000000001e3',
    '00000000-0000-7000-8000-0000000001f3', 'card_terminal', 'R-1', 10,
    ARRAY['00000000-0000-7000-8000-000000000153']::uuid[], ARRAY['S06'],
    '00000000-0000-7000-8000-000000000000', '', NULL, NULL, '', '', '', 'i3', '\x03');
SELECT issues_void_v1(
    '00000000-0000-7000-8000-0000000000aa', '00000000-0000-7000-8000-000000000009',
    '00000000-0000-7000-8000-0000000001b3', '00000000-0000-7000-8000-000000000193',
    ARRAY['00000000-0000-7000-8000-0000000001f4', '00000000-0000-7000-8000-0000000001f5']::uuid[],
    '00000000-0000-7000-8000-000000000000');
-- The performance gets another venue, and another date; a cancellation of it was taken back by hand.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after,
                              refund_job_id, kind, venue_before, venue_after, idempotency_key, fingerprint)
SELECT '00000000-0000-7000-8000-0000000000aa', ('00000000-0000-7000-8000-0000000001' || c.id)::uuid,
       '00000000-0000-7000-8000-000000000000', now(), now(), now(), c.job::uuid, c.kind, 'V', 'W', c.kind, '\x01'
  FROM (VALUES ('61', 'CHANGED', NULL), ('62', 'POSTPONED', NULL),
               ('63', 'CANCELLED', '00000000-0000-7000-8000-000000000164')) c (id, kind, job);
INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids)
SELECT h.schedule_id, 'schedule.' || lower(h.kind), h.created_at, ARRAY[h.change_id], ARRAY[h.asked_by]
  FROM schedule_changes h;

-- Another schedule has a waiting list: the hold of W1 lapsed, the first entry has an offer of it, the second waits.
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency, hold_ttl_s,
                       ticket_limit, waiting_list_turn_s)
VALUES ('00000000-0000-7000-8000-0000000000ab', '00000000-0000-7000-8000-0000000000c0',
        clock_timestamp() + interval '30 days', clock_timestamp() - interval '1 day', 'OPEN', 'KRW', 300, 4, 60);
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
VALUES ('00000000-0000-7000-8000-0000000000ab', 1000, 1, 1, 'W1', 'W', '1', 'R');
INSERT INTO waiting_lists (schedule_id, changed_at, is_on)
VALUES ('00000000-0000-7000-8000-0000000000ab', clock_timestamp(), true);
SELECT reservations_hold_v4(
    '00000000-0000-7000-8000-0000000000ab', ARRAY['00000000-0000-7000-8000-0000000000f1']::uuid[],
    ARRAY['00000000-0000-7000-8000-000000000001']::uuid[], ARRAY['w1'], ARRAY['\x0a']::bytea[], ARRAY['W1'],
    ARRAY[1], ARRAY[1], ARRAY[1], true, 9, 0, 0, NULL);
UPDATE reservations SET created_at = created_at - interval '4 minutes', expires_at = clock_timestamp()
 WHERE idempotency_key = 'w1';
UPDATE seats s SET expires_at = r.expires_at + interval '60 seconds'
  FROM reservations r WHERE r.idempotency_key = 'w1' AND s.seat_id = 'W1';
UPDATE lapsing_holds h SET expires_at = r.expires_at + interval '60 seconds'
  FROM reservations r WHERE r.idempotency_key = 'w1' AND h.schedule_id = r.schedule_id;
SELECT waiting_list_join_v1('00000000-0000-7000-8000-0000000000ab', ('00000000-0000-7000-8000-0000000000e' || i)::uuid,
                            ('00000000-0000-7000-8000-00000000000' || i)::uuid, 1, NULL, 'w', '\x0a')
  FROM generate_series(2, 3) i;
SELECT waiting_list_offer_v1(
    '00000000-0000-7000-8000-0000000000ab', ARRAY['00000000-0000-7000-8000-0000000000e2']::uuid[],
    ARRAY['00000000-0000-7000-8000-0000000000f2']::uuid[], ARRAY['00000000-0000-7000-8000-000000000002']::uuid[],
    ARRAY['W1'], ARRAY[s.version], ARRAY[1], ARRAY[1], ARRAY[1], 900)
  FROM seats s WHERE s.seat_id = 'W1';
