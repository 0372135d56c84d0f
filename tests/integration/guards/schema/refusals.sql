-- One statement for each constraint, unique index and trigger: refused in the database that
-- tests/integration/audit/normal_run.sql leaves, and accepted without the guard.
-- Named after the guard; after `__` follows the aspect.

-- name: users_pkey
-- Two people with one id.
INSERT INTO users (user_id, email, name, password_hash) SELECT user_id, 'new', name, '-' FROM users LIMIT 1;

-- name: users_email_unique
-- Two accounts with one address.
INSERT INTO users (user_id, email, name, password_hash)
SELECT gen_random_uuid(), email, name, '-' FROM users LIMIT 1;

-- name: users_role_known
-- An unknown role.
UPDATE users SET role = 'owner';

-- name: token_keys_pkey
-- Two keys of one name.
INSERT INTO token_keys (kid, secret) VALUES ('k', repeat('s', 32)::bytea), ('k', repeat('t', 32)::bytea);

-- name: token_keys_secret_long
-- A secret that can be guessed.
INSERT INTO token_keys (kid, secret) VALUES ('k', repeat('s', 31)::bytea);

-- name: token_versions_pkey
-- Two versions of one person's tokens.
INSERT INTO token_versions (user_id, version)
SELECT u.user_id, v FROM (SELECT user_id FROM users LIMIT 1) u, generate_series(1, 2) v;

-- name: token_versions_of_user
-- A token version without a user.
INSERT INTO token_versions (user_id, version) VALUES (gen_random_uuid(), 1);

-- name: token_versions_counted
-- The version of users without a row.
INSERT INTO token_versions (user_id, version) SELECT user_id, 0 FROM users LIMIT 1;

-- name: ended_tokens_pkey
-- One token that ended twice.
INSERT INTO ended_tokens (token_id, expires_at) VALUES ('t', now()), ('t', now());

-- name: known_addresses_pkey
-- One address of an account, twice.
INSERT INTO known_addresses (user_id, address_digest)
SELECT u.user_id, repeat('a', 32)::bytea FROM (SELECT user_id FROM users LIMIT 1) u, generate_series(1, 2);

-- name: known_addresses_of_user
-- A known address without a user.
INSERT INTO known_addresses (user_id, address_digest) VALUES (gen_random_uuid(), repeat('a', 32)::bytea);

-- name: known_addresses_digest_whole
-- An address that is no digest.
INSERT INTO known_addresses (user_id, address_digest) SELECT user_id, '192.0.2.1'::bytea FROM users LIMIT 1;

-- name: account_secrets_pkey
-- Two secrets for one purpose.
INSERT INTO account_secrets (name, secret) SELECT name, repeat('s', 32)::bytea FROM account_secrets;

-- name: account_secrets_long
-- A secret that can be guessed.
INSERT INTO account_secrets (name, secret) VALUES ('another', repeat('s', 31)::bytea);

-- name: concerts_pkey
-- Two concerts with one id.
INSERT INTO concerts (concert_id, organizer_id, title, artist, venue)
SELECT concert_id, organizer_id, title, artist, venue FROM concerts;

-- name: concerts_organizer_id_fkey
-- A concert without an organizer.
UPDATE concerts SET organizer_id = gen_random_uuid();

-- name: concerts_organizer_id_fkey__removal
-- An organizer who leaves concerts behind.
DELETE FROM users WHERE role = 'organizer';

-- name: concerts_of_organization
-- A concert of no organization.
UPDATE concerts SET organization_id = gen_random_uuid();

-- name: organizations_pkey
-- Two organizations with one id.
INSERT INTO organizations (organization_id, name) SELECT organization_id, 'Two' FROM organizations;

-- name: organizations_name_bounded
-- An organization without a name.
UPDATE organizations SET name = '';

-- name: organization_members_pkey
-- A member with two roles.
INSERT INTO organization_members (organization_id, user_id, role)
SELECT organization_id, user_id, 'door' FROM organization_members;

-- name: organization_members_of_organization
-- A member of nothing.
INSERT INTO organization_members (organization_id, user_id, role)
SELECT gen_random_uuid(), user_id, 'door' FROM users LIMIT 1;

-- name: organization_members_of_user
-- A member without an account.
INSERT INTO organization_members (organization_id, user_id, role)
SELECT organization_id, gen_random_uuid(), 'door' FROM organizations LIMIT 1;

-- name: organization_members_role_known
-- A role without permissions.
UPDATE organization_members SET role = 'boss';

-- name: concerts_status_known
-- An unknown status.
UPDATE concerts SET status = 'HIDDEN', published_at = NULL;

-- name: concerts_published_at_agrees
-- A draft that was published.
UPDATE concerts SET status = 'DRAFT';

-- name: concerts_published_at_agrees__missing
-- Published at no time.
UPDATE concerts SET published_at = NULL;

-- name: concerts_taken_down_agrees
-- Taken down for no reason.
UPDATE concerts SET taken_down_at = clock_timestamp();

-- name: concerts_taken_down_agrees__reason
-- A reason for nothing.
UPDATE concerts SET taken_down_reason = 'Because';

-- name: schedules_pkey
-- Two schedules with one id.
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit)
SELECT schedule_id, concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit FROM schedules;

-- name: schedules_concert_id_fkey
-- A schedule of no concert.
UPDATE schedules SET concert_id = gen_random_uuid();

-- name: schedules_status_known
-- An unknown status.
UPDATE schedules SET status = 'PAUSED';

-- name: schedules_opens_before_start
-- A sale that opens when the performance begins.
UPDATE schedules SET sale_opens_at = starts_at, sale_closes_at = NULL;

-- name: schedules_one_per_instant
-- Two performances of one concert at one instant.
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit)
SELECT gen_random_uuid(), concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit
  FROM schedules;

-- name: schedules_sale_window
-- A sale that closes when it opens.
UPDATE schedules SET sale_closes_at = sale_opens_at;

-- name: schedules_currency_code
-- No ISO 4217 code.
UPDATE schedules SET currency = 'krw';

-- name: schedules_hold_ttl_positive
-- A hold that is over at once.
UPDATE schedules SET hold_ttl_s = 0;

-- name: schedules_hold_ttl_positive__long
-- A hold of more than a day.
UPDATE schedules SET hold_ttl_s = 86401;

-- name: schedules_ticket_limit_positive
-- A limit that allows no purchase.
UPDATE schedules SET ticket_limit = 0;

-- name: schedules_ticket_limit_positive__high
-- A limit beyond what one transaction should take.
UPDATE schedules SET ticket_limit = 1001;

-- name: seats_pkey
-- A seat that exists twice.
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT schedule_id, price_minor, 99, 99, seat_id, section, row_label, grade FROM seats WHERE seat_id = 'S12';

-- name: seats_place_unique
-- One place under two ids.
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT schedule_id, price_minor, ordinal, number, 'new', section, row_label, grade
  FROM seats WHERE seat_id = 'S12';

-- name: seats_schedule_id_fkey
-- A seat of no schedule.
UPDATE seats SET schedule_id = gen_random_uuid() WHERE seat_id = 'S12';

-- name: seats_price_not_negative
-- A negative price.
UPDATE seats SET price_minor = -1 WHERE seat_id = 'S12';

-- name: seats_price_not_negative__high
-- A price whose sums are beyond what is exact in JSON.
UPDATE seats SET price_minor = 9000000000001 WHERE seat_id = 'S12';

-- name: seats_state_agrees__unknown
-- An unknown state.
UPDATE seats SET state = 'LOST' WHERE seat_id = 'S12';

-- name: seats_state_agrees__owner
-- An available seat with an owner.
UPDATE seats SET user_id = gen_random_uuid() WHERE seat_id = 'S12';

-- name: seats_state_agrees__blocked
-- A blocked seat of a reservation.
UPDATE seats SET reservation_id = gen_random_uuid(), user_id = gen_random_uuid() WHERE seat_id = 'S11';

-- name: seats_state_agrees__nobody
-- A sold seat without an owner.
UPDATE seats SET user_id = NULL WHERE seat_id = 'S01';

-- name: seats_state_agrees__endless
-- A hold without an end.
UPDATE seats SET expires_at = NULL WHERE seat_id = 'S03';

-- name: seats_state_agrees__sold_for_a_time
-- A sale that lapses.
UPDATE seats SET expires_at = clock_timestamp() WHERE seat_id = 'S01';

-- name: reservations_pkey
-- Two reservations with one id.
INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, currency,
                          seat_ids, idempotency_key, fingerprint)
SELECT schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, currency, seat_ids, 'new',
       fingerprint
  FROM reservations LIMIT 1;

-- name: reservations_key_unique
-- Two reservations of one key.
INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, currency,
                          seat_ids, idempotency_key, fingerprint)
SELECT schedule_id, gen_random_uuid(), user_id, created_at, expires_at, amount_minor, currency, seat_ids,
       idempotency_key, fingerprint
  FROM reservations LIMIT 1;

-- name: reservations_status_known
-- An unknown status.
UPDATE reservations SET status = 'LOST' WHERE idempotency_key = 'k5';

-- name: reservations_closed_at_agrees
-- A hold that is closed and is not.
UPDATE reservations SET closed_at = clock_timestamp() WHERE idempotency_key = 'k2';

-- name: reservations_closed_at_agrees__missing
-- A sale that was never closed.
UPDATE reservations SET closed_at = NULL WHERE idempotency_key = 'k1';

-- name: reservations_has_seats
-- A reservation of nothing.
UPDATE reservations SET seat_ids = '{}' WHERE idempotency_key = 'k2';

-- name: reservations_amount_not_negative
-- A negative amount.
UPDATE reservations SET amount_minor = -1 WHERE idempotency_key = 'k2';

-- name: lapsing_holds_pkey
-- One row of the sweeper's list, twice.
INSERT INTO lapsing_holds SELECT * FROM lapsing_holds LIMIT 1;

-- name: tickets_pkey
-- Two tickets with one id.
INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
SELECT schedule_id, ticket_id, reservation_id, payment_id, user_id, 'S14', position, issued_at
  FROM tickets LIMIT 1;

-- name: tickets_status_known
-- An unknown status.
UPDATE tickets SET status = 'LOST';

-- name: tickets_one_live_per_seat
-- A seat that is sold twice.
INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
SELECT schedule_id, gen_random_uuid(), reservation_id, payment_id, user_id, seat_id, position, issued_at
  FROM tickets LIMIT 1;

-- name: wallets_pkey
-- A second wallet.
INSERT INTO wallets (user_id, currency) SELECT user_id, currency FROM wallets LIMIT 1;

-- name: wallets_never_negative
-- Money that is not there.
UPDATE wallets SET balance_minor = -1;

-- name: wallets_countable
-- A balance beyond what is exact in JSON.
UPDATE wallets SET balance_minor = 9000000000000001;

-- name: transfers_pkey
-- One transfer, twice.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, created_at)
SELECT user_id, transfer_id, kind, amount_minor, currency, 'new', fingerprint, created_at
  FROM transfers WHERE kind = 'charge' LIMIT 1;

-- name: transfers_key_unique
-- Two top-ups of one key.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, created_at)
SELECT user_id, gen_random_uuid(), kind, amount_minor, currency, idempotency_key, fingerprint, created_at
  FROM transfers WHERE kind = 'charge' LIMIT 1;

-- name: transfers_kind_known
-- An unknown kind.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, created_at)
SELECT user_id, gen_random_uuid(), 'gift', 1, 'KRW', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_amount_positive
-- A top-up that takes money.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, created_at)
SELECT user_id, gen_random_uuid(), 'charge', 0, 'KRW', 'new', '\x00', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_payment_agrees
-- A payment's transfer of no payment.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, created_at)
SELECT user_id, gen_random_uuid(), 'payment', 1, 'KRW', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_charge_keyed
-- A top-up that could be made again.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, created_at)
SELECT user_id, gen_random_uuid(), 'charge', 1, 'KRW', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_have_entries
-- Money that went nowhere.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, created_at)
SELECT user_id, gen_random_uuid(), 'charge', 1, 'KRW', 'new', '\x00', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_append_only__update
-- A transfer that is rewritten.
UPDATE transfers SET amount_minor = amount_minor + 1;

-- name: transfers_append_only__delete
-- A transfer that is forgotten.
DELETE FROM transfers;

-- name: transfers_append_only__truncate
-- All transfers, forgotten.
TRUNCATE transfers;

-- name: ledger_entries_pkey
-- One leg, twice.
INSERT INTO ledger_entries SELECT * FROM ledger_entries WHERE account = 'cash' LIMIT 1;

-- name: ledger_entries_account_known
-- An unknown account.
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, transfer_id, leg + 2, CASE leg WHEN 1 THEN 'purse' ELSE account END, amount_minor, currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: ledger_entries_moves_something
-- A leg of nothing.
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, transfer_id, leg + 2, account, 0, currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: ledger_entries_balanced__sum
-- Money out of nothing.
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, transfer_id, leg + 2, account, abs(amount_minor), currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: ledger_entries_balanced__orphans
-- Entries of no transfer.
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, '00000000-0000-7000-8000-00000000dead', leg, account, amount_minor, currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: ledger_entries_balanced__currency
-- Entries in another currency than their transfer's.
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, transfer_id, leg + 2, account, amount_minor, 'USD'
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: ledger_entries_append_only__update
-- An entry that is rewritten.
UPDATE ledger_entries SET amount_minor = 2 * amount_minor;

-- name: ledger_entries_append_only__delete
-- An entry that is forgotten.
DELETE FROM ledger_entries;

-- name: ledger_entries_append_only__truncate
-- All entries, forgotten.
TRUNCATE ledger_entries;

-- name: payments_pkey
-- Two payments with one id.
INSERT INTO payments (schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
                      currency, idempotency_key, fingerprint, ticket_ids)
SELECT schedule_id, payment_id, gen_random_uuid(), user_id, amount_minor, created_at, 'wallet', currency,
       'new', fingerprint, ticket_ids
  FROM payments LIMIT 1;

-- name: payments_once_per_reservation
-- One reservation, paid twice.
INSERT INTO payments (schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
                      currency, idempotency_key, fingerprint, ticket_ids)
SELECT schedule_id, gen_random_uuid(), reservation_id, user_id, amount_minor, created_at, 'wallet', currency,
       'new', fingerprint, ticket_ids
  FROM payments LIMIT 1;

-- name: payments_key_unique
-- Two payments of one key.
INSERT INTO payments (schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
                      currency, idempotency_key, fingerprint, ticket_ids)
SELECT schedule_id, gen_random_uuid(), gen_random_uuid(), user_id, amount_minor, created_at, 'wallet', currency,
       idempotency_key, fingerprint, ticket_ids
  FROM payments LIMIT 1;

-- name: payments_status_known
-- An unknown status.
UPDATE payments SET status = 'LOST';

-- name: payments_provider_agrees__wallet
-- The wallet's payment with a provider's reference.
UPDATE payments SET provider_reference = 'x' WHERE method = 'wallet';

-- name: payments_provider_agrees__outside
-- A provider's payment that cannot be found there.
UPDATE payments SET provider_reference = NULL WHERE method <> 'wallet';

-- name: outbox_pkey
-- One row of events, twice.
INSERT INTO outbox (batch_id, scope_id, created_at, topic, subject_ids, user_ids)
OVERRIDING SYSTEM VALUE
SELECT batch_id, scope_id, created_at, topic, subject_ids, user_ids FROM outbox LIMIT 1;

-- name: outbox_side_by_side
-- An event without a person.
UPDATE outbox SET user_ids = user_ids[2:];

-- name: leases_pkey
-- Two holders of one lease.
INSERT INTO leases (role, holder, token, expires_at)
SELECT 'relay', gen_random_uuid(), 1, clock_timestamp() FROM generate_series(1, 2);

-- name: schema_migrations_pkey
-- A migration that ran twice.
INSERT INTO schema_migrations SELECT * FROM schema_migrations;

-- name: schema_functions_pkey
-- Two texts of one room's functions.
INSERT INTO schema_functions SELECT * FROM schema_functions;

-- name: logbook_pkey
-- One entry, twice.
INSERT INTO logbook (organizer_id, entry_id, actor_id, action, request_id, details)
OVERRIDING SYSTEM VALUE
SELECT user_id, 1, user_id, 'sale.opened', '', '{}' FROM users, generate_series(1, 2) WHERE role = 'organizer';

-- name: logbook_action_is_named
-- An action in another spelling than the known ones.
INSERT INTO logbook (organizer_id, actor_id, action, request_id, details)
SELECT user_id, user_id, 'Opened!', '', '{}' FROM users WHERE role = 'organizer';

-- name: logbook_details_bounded
-- A story.
INSERT INTO logbook (organizer_id, actor_id, action, request_id, details)
SELECT user_id, user_id, 'sale.opened', '', to_jsonb(repeat('x', 16400)) FROM users WHERE role = 'organizer';

-- name: logbook_append_only__update
-- An entry that is rewritten.
UPDATE logbook SET action = 'sale.closed';

-- name: logbook_append_only__delete
-- An entry that is forgotten.
DELETE FROM logbook;

-- name: logbook_append_only__truncate
-- All entries, forgotten.
TRUNCATE logbook;

-- name: audit_runs_pkey
-- One audit, twice.
INSERT INTO audit_runs (run_id, started_at, finished_at, failure)
OVERRIDING SYSTEM VALUE
SELECT 1, clock_timestamp(), clock_timestamp(), 'x' FROM generate_series(1, 2);

-- name: audit_runs_finished_agrees__result
-- An audit that has ended without saying how.
INSERT INTO audit_runs (started_at, finished_at) VALUES (clock_timestamp(), clock_timestamp());

-- name: audit_runs_finished_agrees__start
-- An audit that has ended and never began.
INSERT INTO audit_runs (finished_at, failure) VALUES (clock_timestamp(), 'x');

-- name: audit_runs_finished_agrees__verdict
-- A verdict without its checks.
INSERT INTO audit_runs (started_at, finished_at, ok, failure)
VALUES (clock_timestamp(), clock_timestamp(), true, 'x');

-- name: audit_runs_one_wish
-- Two requests at one time.
INSERT INTO audit_runs (asked_by) SELECT NULL::uuid FROM generate_series(1, 2);

-- name: queue_rooms_pkey
-- Two waiting rooms of one schedule.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 1, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea
  FROM schedules, generate_series(1, 2);

-- name: queue_rooms_mode_known
-- An unknown mode.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'raffle', 1, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea FROM schedules;

-- name: queue_rooms_rate_positive
-- A line that does not move.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 0, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea FROM schedules;

-- name: queue_rooms_limits_positive__nobody
-- A room that admits no person.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 1, 0, 1, 1, clock_timestamp(), repeat('s', 32)::bytea FROM schedules;

-- name: queue_rooms_limits_positive__no_time
-- No time inside.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 1, 1, 0, 1, clock_timestamp(), repeat('s', 32)::bytea FROM schedules;

-- name: queue_rooms_limits_positive__no_grace
-- No time to come when called.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 1, 1, 1, 0, clock_timestamp(), repeat('s', 32)::bytea FROM schedules;

-- name: queue_rooms_seed_long
-- A draw that can be guessed.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 1, 1, 1, 1, clock_timestamp(), repeat('s', 31)::bytea FROM schedules;

-- name: queue_rooms_counters_agree__called
-- A called number that was never issued.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed, called)
SELECT schedule_id, 'fifo', 1, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea, 1 FROM schedules;

-- name: queue_rooms_counters_agree__joined
-- More have joined than there are numbers.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed, joined)
SELECT schedule_id, 'fifo', 1, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea, 1 FROM schedules;

-- name: queue_rooms_counters_agree__lobby
-- More were drawn among than there are numbers.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed, lobby_size)
SELECT schedule_id, 'lobby', 1, 1, 1, 1, clock_timestamp(), repeat('s', 32)::bytea, 1 FROM schedules;

-- name: queue_gaps_pkey
-- Two gaps of one epoch.
INSERT INTO queue_gaps (schedule_id, epoch, joined, numbers_to, began_at)
SELECT schedule_id, 1, 1, 2, clock_timestamp() FROM schedules, generate_series(1, 2);

-- name: queue_gaps_forward
-- A gap that ends before it begins.
INSERT INTO queue_gaps (schedule_id, epoch, joined, numbers_to, began_at)
SELECT schedule_id, 1, 2, 1, clock_timestamp() FROM schedules;

-- name: queue_joins_pkey
-- Two rows of a journal with one id.
INSERT INTO queue_joins (schedule_id, join_id, numbers, accounts)
OVERRIDING SYSTEM VALUE
SELECT schedule_id, 1, '{1}', decode(repeat('00', 16), 'hex') FROM schedules, generate_series(1, 2);

-- name: queue_joins_agree
-- A number without its account.
INSERT INTO queue_joins (schedule_id, numbers, accounts)
SELECT schedule_id, '{1,2}', decode(repeat('00', 16), 'hex') FROM schedules;

-- name: queue_packs_pkey
-- Two parts of one pack for the same accounts.
INSERT INTO queue_packs (schedule_id, part, pack_id, buckets, counts, entries)
SELECT schedule_id, 0, 1, '', '', '' FROM schedules, generate_series(1, 2);

-- name: queue_packs_part_is_byte
-- A part that no account has.
INSERT INTO queue_packs (schedule_id, part, pack_id, buckets, counts, entries)
SELECT schedule_id, 256, 1, '', '', '' FROM schedules;

-- name: queue_packs_agree
-- A bucket without its count.
INSERT INTO queue_packs (schedule_id, part, pack_id, buckets, counts, entries)
SELECT schedule_id, 0, 1, decode('00', 'hex'), '', '' FROM schedules;

-- name: queue_redemptions_pkey
-- Two accounts with one number.
INSERT INTO queue_redemptions (schedule_id, number, user_id)
SELECT schedule_id, 1, gen_random_uuid() FROM schedules, generate_series(1, 2);

-- name: queue_redemptions_one_per_account
-- One account with two numbers.
INSERT INTO queue_redemptions (schedule_id, number, user_id)
SELECT schedule_id, n, schedule_id FROM schedules, generate_series(1, 2) n;

-- name: queue_admissions_pkey
-- Two people let in with one number.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT schedule_id, 1, gen_random_uuid(), 1, 1, clock_timestamp(), clock_timestamp(), 1, 1
  FROM schedules, generate_series(1, 2);

-- name: queue_admissions_in_turn
-- An admission before its call.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT schedule_id, 1, gen_random_uuid(), 2, 1, clock_timestamp(), clock_timestamp(), 1, 1 FROM schedules;

-- name: queue_admissions_within_cap
-- One more than there is room for.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT schedule_id, 1, gen_random_uuid(), 1, 1, clock_timestamp(), clock_timestamp(), 2, 1 FROM schedules;

-- name: queue_admissions_ended_agrees
-- An exit without a reason.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max,
                              ended_at)
SELECT schedule_id, 1, gen_random_uuid(), 1, 1, clock_timestamp(), clock_timestamp(), 1, 1, clock_timestamp()
  FROM schedules;

-- name: queue_admissions_ended_by_known
-- An unknown reason.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max,
                              ended_at, ended_by)
SELECT schedule_id, 1, gen_random_uuid(), 1, 1, clock_timestamp(), clock_timestamp(), 1, 1, clock_timestamp(), 'mood'
  FROM schedules;

-- name: queue_leavers_pkey
-- Two entries of a room with one id.
INSERT INTO queue_leavers (schedule_id, entry_id, until_at, numbers)
OVERRIDING SYSTEM VALUE
SELECT schedule_id, 1, now(), '{1}' FROM schedules, generate_series(1, 2);

-- name: queue_leavers_names_somebody
-- An exit without a number.
INSERT INTO queue_leavers (schedule_id, until_at, numbers) SELECT schedule_id, now(), '{}' FROM schedules;

-- name: schedule_buyers_pkey
-- Two rows of one person in one schedule.
INSERT INTO schedule_buyers (schedule_id, user_id, struck_at)
SELECT schedule_id, user_id, struck_at FROM schedule_buyers LIMIT 1;

-- name: schedule_buyers_counts
-- Less than nothing.
UPDATE schedule_buyers SET strikes = -1;

-- name: schedule_buyers_counts__sold
-- Fewer seats than none.
UPDATE schedule_buyers SET sold_seats = -1;

-- name: closed_reservations_pkey
-- One row of the list twice.
INSERT INTO closed_reservations SELECT * FROM closed_reservations LIMIT 1;

-- name: reservations_archive_pkey
-- One reservation archived twice.
INSERT INTO reservations_archive
SELECT schedule_id, reservation_id, user_id, created_at, expires_at, closed_at, closed_at, amount_minor,
       closed_by, status, currency, seat_ids, idempotency_key || n, fingerprint
  FROM reservations, generate_series(1, 2) n WHERE idempotency_key = 'k5';

-- name: reservations_archive_key_unique
-- One key for two archived reservations.
INSERT INTO reservations_archive
SELECT schedule_id, gen_random_uuid(), user_id, created_at, expires_at, closed_at, closed_at, amount_minor,
       closed_by, status, currency, seat_ids, idempotency_key, fingerprint
  FROM reservations, generate_series(1, 2) n WHERE idempotency_key = 'k5';

-- name: reservations_archive_is_over
-- A hold in the archive.
INSERT INTO reservations_archive
SELECT schedule_id, reservation_id, user_id, created_at, expires_at, closed_at, closed_at, amount_minor,
       closed_by, 'HELD', currency, seat_ids, idempotency_key, fingerprint
  FROM reservations WHERE idempotency_key = 'k5';

-- name: queue_archive_pkey
-- One record archived twice.
INSERT INTO queue_archive (schedule_id, kind, record_id, archived_at, record)
SELECT '00000000-0000-7000-8000-0000000000aa', 'join', 1, now(), '{}' FROM generate_series(1, 2);

-- name: queue_archive_kind_known
-- A record of an unknown kind.
INSERT INTO queue_archive (schedule_id, kind, record_id, archived_at, record)
VALUES ('00000000-0000-7000-8000-0000000000aa', 'poll', 1, now(), '{}');

-- name: archive_progress_pkey
-- Two words on how far the archive has come.
INSERT INTO archive_progress (kind, passed_at, closed_before)
SELECT 'reservations', now(), now() FROM generate_series(1, 2);

-- name: schedules_return_delay_bounded
-- Seats that never come back.
UPDATE schedules SET seats_return_delay_max_s = 86400;

-- name: payment_intents_pkey
-- Two intents with one id.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, user_id, 1000, now(), now(), now(), 'top_up', 'toss', 'KRW', 'new-' || n, '\x00'
  FROM users CROSS JOIN generate_series(1, 2) n WHERE role = 'organizer';

-- name: payment_intents_key_unique
-- Two intents of one key.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'top_up', 'toss', 'KRW', 'new', '\x00'
  FROM users CROSS JOIN generate_series(1, 2) WHERE role = 'organizer';

-- name: payment_intents_status_known
-- An unknown status.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, status, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'top_up', 'toss', 'KRW', 'LOST', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_purpose_agrees
-- An unknown purpose.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'gift', 'toss', 'KRW', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_purpose_agrees__reservation
-- A payment of no reservation.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'reservation', 'toss', 'KRW', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_purpose_agrees__top_up
-- A top-up of a reservation.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, hold_ends_at, amount_minor,
                             created_at, changed_at, session_ends_at, purpose, provider, currency,
                             idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, reservation_id, now(), 1000, now(), now(), now(), 'top_up',
       'toss', 'KRW', 'new', '\x00'
  FROM reservations LIMIT 1;

-- name: payment_intents_amount_positive
-- An intent to pay nothing.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 0, now(), now(), now(), 'top_up', 'toss', 'KRW', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_currency_code
-- No ISO 4217 code.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'top_up', 'toss', 'krw', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_attempts_bounded
-- One attempt too many.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             attempts, purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 6, 'top_up', 'toss', 'KRW', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_begun_agrees
-- A confirmation that never began.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, status, payment_key, confirm_key, idempotency_key,
                             fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'top_up', 'toss', 'KRW', 'CONFIRMING', 'p',
       'c', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_begun_agrees__key
-- A confirmation that no client can repeat.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             begun_at, purpose, provider, currency, status, payment_key, idempotency_key,
                             fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), now(), 'top_up', 'toss', 'KRW', 'UNKNOWN',
       'p', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_closed_at_agrees
-- An intent that ended and is open.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             purpose, provider, currency, status, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), 'top_up', 'toss', 'KRW', 'EXPIRED', 'new',
       '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_closed_at_agrees__open
-- An open intent that ended.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at,
                             closed_at, purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), now(), now(), 'top_up', 'toss', 'KRW', 'new', '\x00'
  FROM users LIMIT 1;

-- name: payment_intents_payment_agrees
-- A payment of an intent that did not succeed.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, hold_ends_at, payment_id,
                             amount_minor, created_at, changed_at, session_ends_at, purpose, provider,
                             currency, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, reservation_id, now(), reservation_id, 1000, now(), now(),
       now(), 'reservation', 'toss', 'KRW', 'new', '\x00'
  FROM reservations LIMIT 1;

-- name: payment_intents_payment_agrees__missing
-- A success without its payment.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, hold_ends_at, amount_minor,
                             created_at, changed_at, session_ends_at, closed_at, purpose, provider,
                             currency, status, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, reservation_id, now(), 1000, now(), now(), now(), now(),
       'reservation', 'toss', 'KRW', 'SUCCEEDED', 'new', '\x00'
  FROM reservations LIMIT 1;

-- name: payment_intents_one_per_reservation
-- One reservation that is being paid twice.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, hold_ends_at, amount_minor,
                             created_at, changed_at, session_ends_at, purpose, provider, currency,
                             idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, reservation_id, now(), 1000, now(), now(), now(),
       'reservation', 'toss', 'KRW', 'new-' || n, '\x00'
  FROM (SELECT * FROM reservations LIMIT 1) r CROSS JOIN generate_series(1, 2) n;

-- name: provider_calls_pkey
-- Two calls with one id.
INSERT INTO provider_calls (user_id, call_id, intent_id, refund_id, begun_at, provider, operation, idempotency_key)
SELECT user_id, user_id, user_id, NULL, now(), 'toss', 'confirm', 'k'
  FROM users CROSS JOIN generate_series(1, 2) WHERE role = 'organizer';

-- name: provider_calls_have_a_subject
-- A call about nothing.
INSERT INTO provider_calls (user_id, call_id, intent_id, refund_id, begun_at, provider, operation, idempotency_key)
SELECT user_id, user_id, NULL, NULL, now(), 'toss', 'confirm', 'k' FROM users LIMIT 1;

-- name: provider_calls_operation_known
-- An unknown operation.
INSERT INTO provider_calls (user_id, call_id, intent_id, refund_id, begun_at, provider, operation, idempotency_key)
SELECT user_id, user_id, user_id, NULL, now(), 'toss', 'guess', 'k' FROM users LIMIT 1;

-- name: provider_calls_append_only__update
-- A call that is rewritten.
UPDATE provider_calls SET begun_at = now();

-- name: provider_calls_append_only__delete
-- A call that is forgotten.
DELETE FROM provider_calls;

-- name: provider_calls_append_only__truncate
-- All of them, forgotten.
TRUNCATE provider_calls;

-- name: provider_answers_pkey
-- Two answers to one call.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
SELECT user_id, user_id, now(), 'done', NULL, NULL
  FROM users CROSS JOIN generate_series(1, 2) WHERE role = 'organizer';

-- name: provider_answers_outcome_known
-- An unknown outcome.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
SELECT user_id, user_id, now(), 'maybe', NULL, NULL FROM users LIMIT 1;

-- name: provider_answers_body_bounded
-- An answer as long as a book.
INSERT INTO provider_answers (user_id, call_id, answered_at, outcome, status, body)
SELECT user_id, user_id, now(), 'done', NULL, to_jsonb(repeat('x', 65536)) FROM users LIMIT 1;

-- name: provider_answers_append_only__update
-- An answer that is rewritten.
UPDATE provider_answers SET answered_at = now();

-- name: provider_answers_append_only__delete
-- An answer that is forgotten.
DELETE FROM provider_answers;

-- name: provider_answers_append_only__truncate
-- All of them, forgotten.
TRUNCATE provider_answers;

-- name: provider_transactions_pkey
-- One movement of money, booked twice.
INSERT INTO provider_transactions (provider, transaction_key, user_id, transfer_id, amount_minor, happened_at,
                                   booked_at, kind, currency)
SELECT 'toss', 't', user_id, gen_random_uuid(), 1, now(), now(), 'capture', 'KRW'
  FROM users CROSS JOIN generate_series(1, 2) WHERE role = 'organizer';

-- name: provider_transactions_once_per_transfer
-- One transfer for two movements of money.
INSERT INTO provider_transactions (provider, transaction_key, user_id, transfer_id, amount_minor, happened_at,
                                   booked_at, kind, currency)
SELECT 'toss', 't' || n, user_id, user_id, 1, now(), now(), 'capture', 'KRW'
  FROM users CROSS JOIN generate_series(1, 2) n WHERE role = 'organizer';

-- name: provider_transactions_kind_known
-- An unknown kind.
INSERT INTO provider_transactions (provider, transaction_key, user_id, transfer_id, amount_minor, happened_at,
                                   booked_at, kind, currency)
SELECT 'toss', 't', user_id, user_id, 1, now(), now(), 'gift', 'KRW' FROM users LIMIT 1;

-- name: provider_transactions_amount_positive
-- A movement of nothing.
INSERT INTO provider_transactions (provider, transaction_key, user_id, transfer_id, amount_minor, happened_at,
                                   booked_at, kind, currency)
SELECT 'toss', 't', user_id, user_id, 0, now(), now(), 'capture', 'KRW' FROM users LIMIT 1;

-- name: provider_transactions_append_only__update
-- A movement that is rewritten.
UPDATE provider_transactions SET booked_at = now();

-- name: provider_transactions_append_only__delete
-- A movement that is forgotten.
DELETE FROM provider_transactions;

-- name: provider_transactions_append_only__truncate
-- All of them, forgotten.
TRUNCATE provider_transactions;

-- name: provider_notices_pkey
-- One notice, stored twice.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
SELECT 'toss', 'n', now(), now(), NULL, 0, 'PAYMENT', 'hint', '\x00' FROM generate_series(1, 2);

-- name: provider_notices_grade_known
-- An unknown grade.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
VALUES ('toss', 'n', now(), now(), NULL, 0, 'PAYMENT', 'rumour', '\x00');

-- name: provider_notices_due_agrees
-- A notice that no cashier will handle.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
VALUES ('toss', 'n', now(), NULL, NULL, 0, 'PAYMENT', 'hint', '\x00');

-- name: provider_notices_due_agrees__handled
-- A handled notice that is due.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
VALUES ('toss', 'n', now(), now(), now(), 0, 'PAYMENT', 'hint', '\x00');

-- name: provider_notices_body_bounded
-- A notice of more than a megabyte.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
VALUES ('toss', 'n', now(), now(), NULL, 0, 'PAYMENT', 'hint', repeat('x', 1048577)::bytea);

-- name: provider_notices_tries_counted
-- Less than no try.
INSERT INTO provider_notices (provider, notice_id, received_at, due_at, handled_at, tries, kind, grade, body)
VALUES ('toss', 'n', now(), now(), NULL, -1, 'PAYMENT', 'hint', '\x00');

-- name: cashier_work_pkey
-- One piece of work, twice.
INSERT INTO cashier_work (kind, subject_id, user_id, due_at, tries)
SELECT 'look_up', user_id, user_id, now(), 0
  FROM users CROSS JOIN generate_series(1, 2) WHERE role = 'organizer';

-- name: cashier_work_kind_named
-- A kind in another spelling than the known ones.
INSERT INTO cashier_work (kind, subject_id, user_id, due_at, tries)
SELECT 'Look up!', user_id, user_id, now(), 0 FROM users LIMIT 1;

-- name: cashier_work_tries_counted
-- Less than no try.
INSERT INTO cashier_work (kind, subject_id, user_id, due_at, tries)
SELECT 'look_up', user_id, user_id, now(), -1 FROM users LIMIT 1;

-- name: transfers_provider_agrees
-- Money from a provider without a name.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, created_at)
SELECT user_id, gen_random_uuid(), 'capture', 1, 'KRW', clock_timestamp() FROM users LIMIT 1;

-- name: transfers_provider_agrees__charge
-- A free top-up that a provider paid.
INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, provider,
                       created_at)
SELECT user_id, gen_random_uuid(), 'charge', 1, 'KRW', 'new', '\x00', 'toss', clock_timestamp()
  FROM users LIMIT 1;

-- name: refund_policies_pkey
-- Two policies of one version.
INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
SELECT schedule_id, 1, now(), schedule_id, '{}' FROM schedules CROSS JOIN generate_series(1, 2);

-- name: refund_policies_version_counted
-- A version before the first.
INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
SELECT schedule_id, 0, now(), schedule_id, '{}' FROM schedules;

-- name: refund_policies_append_only__update
-- A policy that changes after it was agreed to.
UPDATE refund_policies SET policy = '{}';

-- name: refund_policies_append_only__delete
-- A policy that is forgotten.
DELETE FROM refund_policies;

-- name: refund_policies_append_only__truncate
-- All of them, forgotten.
TRUNCATE refund_policies;

-- name: seat_price_changes_pkey
-- Two changes with one version.
INSERT INTO seat_price_changes (schedule_id, seat_id, version, changed_at, changed_by, price_minor, grade)
SELECT schedule_id, 'S12', 2, now(), schedule_id, 1, 'R' FROM schedules CROSS JOIN generate_series(1, 2);

-- name: seat_price_changes_append_only__update
-- A price that was another one.
UPDATE seat_price_changes SET price_minor = 1;

-- name: seat_price_changes_append_only__delete
-- A price that is forgotten.
DELETE FROM seat_price_changes;

-- name: seat_price_changes_append_only__truncate
-- All of them, forgotten.
TRUNCATE seat_price_changes;

-- name: house_accounts_pkey
-- Two accounts of one concert.
INSERT INTO house_accounts (concert_id, user_id)
SELECT 'ffffffff-0000-7000-8000-0000000000c0'::uuid, gen_random_uuid() FROM generate_series(1, 2);

-- name: house_accounts_user_unique
-- One account of two concerts.
INSERT INTO house_accounts (concert_id, user_id)
SELECT gen_random_uuid(), 'ffffffff-0000-7000-8000-0000000000c0'::uuid FROM generate_series(1, 2);

-- name: ticket_issues_pkey
-- Two issues of one reservation.
INSERT INTO ticket_issues (schedule_id, reservation_id, issued_at, issued_by, kind, name, reason, note, list_name,
                           ticket_ids)
SELECT schedule_id, schedule_id, now(), schedule_id, 'COMPLIMENTARY', 'G', '', '', '', '{}'
  FROM schedules CROSS JOIN generate_series(1, 2);

-- name: ticket_issues_kind_agrees
-- A guest without a name.
INSERT INTO ticket_issues (schedule_id, reservation_id, issued_at, issued_by, kind, name, reason, note, list_name,
                           ticket_ids)
SELECT schedule_id, schedule_id, now(), schedule_id, 'COMPLIMENTARY', '', '', '', '', '{}' FROM schedules;

-- name: ticket_issues_mail_agrees
-- An address without a language.
INSERT INTO ticket_issues (schedule_id, reservation_id, issued_at, issued_by, kind, name, email, reason, note,
                           list_name, ticket_ids)
SELECT schedule_id, schedule_id, now(), schedule_id, 'COMPLIMENTARY', 'G', 'g@example.org', '', '', '', '{}'
  FROM schedules;

-- name: ticket_issues_voided_agrees
-- Void by no person.
INSERT INTO ticket_issues (schedule_id, reservation_id, issued_at, issued_by, voided_at, kind, name, reason, note,
                           list_name, ticket_ids)
SELECT schedule_id, schedule_id, now(), schedule_id, now(), 'COMPLIMENTARY', 'G', '', '', '', '{}' FROM schedules;

-- name: seat_blocks_pkey
-- Two reasons for one seat.
INSERT INTO seat_blocks (schedule_id, seat_id, blocked_at, blocked_by, reason, note)
SELECT schedule_id, 'S11', now(), schedule_id, 'house', '' FROM schedules CROSS JOIN generate_series(1, 2);

-- name: seat_blocks_reason_known
-- An unknown reason.
INSERT INTO seat_blocks (schedule_id, seat_id, blocked_at, blocked_by, reason, note)
SELECT schedule_id, 'S11', now(), schedule_id, 'because', '' FROM schedules;

-- name: seat_blocks_note_bounded
-- A note without end.
INSERT INTO seat_blocks (schedule_id, seat_id, blocked_at, blocked_by, reason, note)
SELECT schedule_id, 'S11', now(), schedule_id, 'house', repeat('x', 201) FROM schedules;

-- name: refunds_pkey
-- Two refunds with one id.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, payment_id, schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new-' || n || payment_id, '\x00'
  FROM payments CROSS JOIN generate_series(1, 2) n;

-- name: refunds_key_unique
-- Two refunds of one key.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00'
  FROM payments CROSS JOIN generate_series(1, 2);

-- name: refunds_status_known
-- An unknown status.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint, status)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00', 'LOST'
  FROM payments LIMIT 1;

-- name: refunds_reason_known
-- An unknown reason.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'mood', 'wallet', 'KRW', true,
       'new', '\x00'
  FROM payments LIMIT 1;

-- name: refunds_amounts_not_negative
-- A refund that takes.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, -1, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00'
  FROM payments LIMIT 1;

-- name: refunds_amounts_not_negative__fee
-- A fee that pays.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint, fee_minor)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00', -1
  FROM payments LIMIT 1;

-- name: refunds_subject_agrees
-- Late money of no intent.
INSERT INTO refunds (user_id, refund_id, amount_minor, created_at, changed_at, reason, destination, currency,
                     is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), 'late', 'wallet', 'KRW', true, 'new', '\x00'
  FROM users LIMIT 1;

-- name: refunds_subject_agrees__payment
-- A refund of no payment.
INSERT INTO refunds (user_id, refund_id, amount_minor, created_at, changed_at, reason, destination, currency,
                     is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), 1000, now(), now(), 'buyer', 'wallet', 'KRW', true, 'new', '\x00'
  FROM users LIMIT 1;

-- name: refunds_closed_at_agrees
-- A refund that is done and is not.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint, status)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00', 'DONE'
  FROM payments LIMIT 1;

-- name: refunds_closed_at_agrees__pending
-- A refund under way that ended.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint, closed_at)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00', now()
  FROM payments LIMIT 1;

-- name: refunds_destination_agrees
-- An unknown destination.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'street', 'KRW', true,
       'new', '\x00'
  FROM payments LIMIT 1;

-- name: refunds_destination_agrees__provider
-- A provider that has no name.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'provider', 'KRW', true,
       'new', '\x00'
  FROM payments LIMIT 1;

-- name: refunds_tickets_agree
-- A ticket without its seat.
INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, created_at, changed_at, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint, ticket_ids)
SELECT user_id, gen_random_uuid(), schedule_id, payment_id, 1000, now(), now(), 'buyer', 'wallet', 'KRW', true,
       'new', '\x00', ARRAY[gen_random_uuid()]
  FROM payments LIMIT 1;

-- name: refund_jobs_pkey
-- Two jobs with one id.
INSERT INTO refund_jobs (schedule_id, job_id, asked_by, created_at, changed_at, finished_at, payments,
                         with_compensation, idempotency_key)
SELECT schedule_id, schedule_id, schedule_id, now(), now(), now(), 0, false, 'k' || n FROM schedules CROSS JOIN generate_series(1, 2) n;

-- name: refund_jobs_key_unique
-- Two jobs of one key.
INSERT INTO refund_jobs (schedule_id, job_id, asked_by, created_at, changed_at, finished_at, payments,
                         with_compensation, idempotency_key)
SELECT schedule_id, gen_random_uuid(), schedule_id, now(), now(), now(), 0, false, 'k' FROM schedules CROSS JOIN generate_series(1, 2);

-- name: refund_jobs_counted
-- Fewer payments than none.
INSERT INTO refund_jobs (schedule_id, job_id, asked_by, created_at, changed_at, finished_at, payments,
                         with_compensation, idempotency_key)
SELECT schedule_id, gen_random_uuid(), schedule_id, now(), now(), now(), -1, false, 'k' FROM schedules;

-- name: refund_jobs_one_at_a_time
-- Two passes over one schedule.
INSERT INTO refund_jobs (schedule_id, job_id, asked_by, created_at, changed_at, finished_at, payments,
                         with_compensation, idempotency_key)
SELECT schedule_id, gen_random_uuid(), schedule_id, now(), now(), NULL, 0, false, 'k' || n FROM schedules CROSS JOIN generate_series(1, 2) n;

-- name: disputes_pkey
-- One dispute twice.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 1000, now(), now(), NULL, 'OPEN', 'KRW', 'p',
       'fraud'
  FROM payments CROSS JOIN generate_series(1, 2);

-- name: disputes_status_known
-- An unknown status.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 1000, now(), now(), now(), 'LATER', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: disputes_amounts
-- A dispute about nothing.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 0, now(), now(), NULL, 'OPEN', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: disputes_amounts__withdrawn
-- More withdrawn than disputed.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, withdrawn_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 1000, 1001, now(), now(), NULL, 'OPEN', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: disputes_closed_at_agrees
-- A dispute that is lost and open.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 1000, now(), now(), NULL, 'LOST', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: disputes_closed_at_agrees__open
-- An open dispute that ended.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 1000, now(), now(), now(), 'OPEN', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: disputes_payment_agrees
-- A schedule without the payment.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, opened_at, changed_at,
                      closed_at, status, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, NULL, 1000, now(), now(), NULL, 'OPEN', 'KRW', 'p',
       'fraud'
  FROM payments LIMIT 1;

-- name: statement_runs_pkey
-- One window compared twice.
INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at)
SELECT 'toss', 'day', '2026-01-01Z', '2026-01-02Z', now(), now() FROM generate_series(1, 2);

-- name: statement_runs_kind_known
-- A window of an unknown length.
INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at)
SELECT 'toss', 'week', '2026-01-01Z', '2026-01-02Z', now(), now() FROM generate_series(1, 1);

-- name: statement_runs_forward
-- A window that ends before it begins.
INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at)
SELECT 'toss', 'day', '2026-01-01Z', '2026-01-01Z', now(), now() FROM generate_series(1, 1);

-- name: statement_runs_totals_agree
-- A result of an unfinished run.
INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at, totals)
SELECT 'toss', 'day', '2026-01-01Z', '2026-01-02Z', now(), now(), '[]' FROM generate_series(1, 1);

-- name: statement_runs_totals_agree__finished
-- A finished run without a result.
INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at, finished_at)
SELECT 'toss', 'day', '2026-01-01Z', '2026-01-02Z', now(), now(), now() FROM generate_series(1, 1);

-- name: statement_lines_pkey
-- One line twice.
INSERT INTO statement_lines (provider, transaction_key, happened_at, read_at, amount_minor, movement, currency,
                             payment_key)
SELECT 'toss', 't', now(), now(), 1000, 'capture', 'KRW', 'p' FROM generate_series(1, 2);

-- name: statement_findings_pkey
-- One difference twice.
INSERT INTO statement_findings (provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, movement, currency)
SELECT 'toss', 't', 'amount', gen_random_uuid(), now(), now(), now(), 'capture', 'KRW' FROM generate_series(1, 2);

-- name: statement_findings_kind_known
-- An unknown difference.
INSERT INTO statement_findings (provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, movement, currency)
SELECT 'toss', 't', 'odd', gen_random_uuid(), now(), now(), now(), 'capture', 'KRW' FROM generate_series(1, 1);

-- name: statement_findings_resolution_agrees
-- A resolution at no time.
INSERT INTO statement_findings (provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, movement, currency, resolved_by, note)
SELECT 'toss', 't', 'amount', gen_random_uuid(), now(), now(), now(), 'capture', 'KRW', gen_random_uuid(), 'paid by bank' FROM generate_series(1, 1);

-- name: statement_findings_resolution_agrees__note
-- A resolution without a note.
INSERT INTO statement_findings (provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, movement, currency, resolved_at, resolved_by)
SELECT 'toss', 't', 'amount', gen_random_uuid(), now(), now(), now(), 'capture', 'KRW', now(), gen_random_uuid() FROM generate_series(1, 1);

-- name: webhook_endpoints_pkey
-- Two endpoints of one id.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
SELECT '00000000-0000-7000-8000-000000000011'::uuid, '00000000-0000-7000-8000-000000000000'::uuid, 'https://example.org', '{*}'::text[], repeat('s', 32)::bytea, n::text FROM generate_series(1, 2) n;

-- name: webhook_endpoints_key_unique
-- One request that creates two endpoints.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000000'::uuid, 'https://example.org', '{*}'::text[], repeat('s', 32)::bytea, 'k' FROM generate_series(1, 2);

-- name: webhook_endpoints_of_organization
-- An endpoint of an unknown organization.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', gen_random_uuid(), 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k');

-- name: webhook_endpoints_url_bounded
-- An endpoint without an address.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', '', '{*}', repeat('s', 32)::bytea, 'k');

-- name: webhook_endpoints_has_topics
-- An endpoint that wants nothing.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{}', repeat('s', 32)::bytea, 'k');

-- name: webhook_endpoints_state_known
-- An unknown state.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, state)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', 'PAUSED');

-- name: webhook_endpoints_reason_agrees
-- A disabled endpoint without a reason.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, state)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', 'DISABLED');

-- name: webhook_endpoints_reason_agrees__active
-- A reason of an active endpoint.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, disabled_reason)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', 'gone');

-- name: webhook_endpoints_secret_agrees
-- An active endpoint without a secret.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', NULL, 'k');

-- name: webhook_endpoints_secret_agrees__deleted
-- A deleted endpoint with a secret.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, state)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', 'DELETED');

-- name: webhook_endpoints_secret_long
-- A secret that can be guessed.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 23)::bytea, 'k');

-- name: webhook_endpoints_secret_long__previous
-- A previous secret that can be guessed.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, previous_secret, previous_until)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', 's', now());

-- name: webhook_endpoints_previous_agrees
-- A previous secret that signs for ever.
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key, previous_secret)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k', repeat('s', 32)::bytea);

-- name: report_subscriptions_pkey
-- One report twice.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'sales', 'daily', 'Asia/Seoul'), ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'sales', 'daily', 'Asia/Seoul');

-- name: report_subscriptions_of_organization
-- A report of no organization.
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'sales', 'daily', 'Asia/Seoul');

-- name: report_subscriptions_of_user
-- A report for no person.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', gen_random_uuid(), now(), '2026-01-01', 8, 'sales', 'daily', 'Asia/Seoul');

-- name: report_subscriptions_report_known
-- An unknown report.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'x', 'daily', 'Asia/Seoul');

-- name: report_subscriptions_frequency_known
-- An unknown frequency.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'sales', 'hourly', 'Asia/Seoul');

-- name: report_subscriptions_hour_of_day
-- An hour that no day has.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 24, 'sales', 'daily', 'Asia/Seoul');

-- name: report_subscriptions_time_zone_named
-- A time zone without a name.
WITH organization AS (INSERT INTO organizations (organization_id, name) VALUES ('00000000-0000-7000-8000-000000000020', 'O'))
INSERT INTO report_subscriptions (organization_id, user_id, due_at, next_day, hour, report, frequency, time_zone)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', now(), '2026-01-01', 8, 'sales', 'daily', '+09');

-- name: report_mails_pkey
-- Two mails about one period.
INSERT INTO report_mails (organization_id, user_id, report_mail_id, first_day, last_day, report, frequency, totals)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000021', '2026-01-01', '2026-01-01', 'sales', 'daily', '[]'), ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000022', '2026-01-01', '2026-01-01', 'sales', 'daily', '[]');

-- name: report_mails_id_unique
-- One id for two mails.
INSERT INTO report_mails (organization_id, user_id, report_mail_id, first_day, last_day, report, frequency, totals)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000021', '2026-01-01', '2026-01-01', 'sales', 'daily', '[]'), ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000021', '2026-01-02', '2026-01-02', 'sales', 'daily', '[]');

-- name: report_mails_forward
-- A period that ends before it begins.
INSERT INTO report_mails (organization_id, user_id, report_mail_id, first_day, last_day, report, frequency, totals)
VALUES ('00000000-0000-7000-8000-000000000020', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000021', '2026-01-02', '2026-01-01', 'sales', 'daily', '[]');

-- name: webhook_deliveries_pkey
-- One event twice for one endpoint.
WITH endpoint AS (
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k'))
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body)
SELECT '00000000-0000-7000-8000-000000000011'::uuid, 1, now(), now(), 't', '{}' FROM generate_series(1, 2);

-- name: webhook_deliveries_to_endpoint
-- A delivery to no endpoint.
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body)
VALUES ('00000000-0000-7000-8000-000000000011', 1, now(), now(), 't', '{}');

-- name: webhook_deliveries_state_known
-- An unknown state.
WITH endpoint AS (
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k'))
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body, state)
VALUES ('00000000-0000-7000-8000-000000000011', 1, now(), now(), 't', '{}', 'LOST');

-- name: webhook_deliveries_counted
-- More results than claims.
WITH endpoint AS (
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k'))
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body, tries)
VALUES ('00000000-0000-7000-8000-000000000011', 1, now(), now(), 't', '{}', 1);

-- name: webhook_deliveries_counted__tries
-- Fewer results than none.
WITH endpoint AS (
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k'))
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body, tries)
VALUES ('00000000-0000-7000-8000-000000000011', 1, now(), now(), 't', '{}', -1);

-- name: webhook_deliveries_answer_bounded
-- A book as an answer.
WITH endpoint AS (
INSERT INTO webhook_endpoints (endpoint_id, organizer_id, url, topics, secret, creation_key)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000000', 'https://example.org', '{*}', repeat('s', 32)::bytea, 'k'))
INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body, last_answer)
VALUES ('00000000-0000-7000-8000-000000000011', 1, now(), now(), 't', '{}', repeat('x', 4097));

-- name: mails_pkey
-- Two mails of one id.
INSERT INTO mails (user_id, mail_id, scope_id, subject_id, kind)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, '00000000-0000-7000-8000-000000000000'::uuid, '00000000-0000-7000-8000-000000000000'::uuid, gen_random_uuid(), 'receipt' FROM generate_series(1, 2);

-- name: mails_once_per_subject
-- Two receipts of one payment.
INSERT INTO mails (user_id, mail_id, scope_id, subject_id, kind)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, gen_random_uuid(), '00000000-0000-7000-8000-000000000000'::uuid, '00000000-0000-7000-8000-000000000000'::uuid, 'receipt' FROM generate_series(1, 2);

-- name: mails_kind_named
-- A mail of no kind.
INSERT INTO mails (user_id, scope_id, subject_id, kind)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '');

-- name: mails_state_known
-- An unknown state.
INSERT INTO mails (user_id, scope_id, subject_id, kind, state)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', 'LOST');

-- name: mails_sent_agrees
-- A mail that was sent at no time.
INSERT INTO mails (user_id, scope_id, subject_id, kind, state)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', 'SENT');

-- name: mails_sent_agrees__waiting
-- A mail that was sent and waits.
INSERT INTO mails (user_id, scope_id, subject_id, kind, sent_at)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', now());

-- name: mails_claim_agrees
-- A try without an address.
INSERT INTO mails (user_id, scope_id, subject_id, kind, attempts)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', 1);

-- name: mails_claim_agrees__unclaimed
-- An address before the first try.
INSERT INTO mails (user_id, scope_id, subject_id, kind, to_address)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', 'a@example.org');

-- name: mails_counted
-- More results than claims.
INSERT INTO mails (user_id, scope_id, subject_id, kind, tries)
VALUES ('00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', 'receipt', 1);

-- name: mail_languages_pkey
-- Two languages of one person.
INSERT INTO mail_languages (user_id, language)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, 'ko' FROM generate_series(1, 2);

-- name: mail_languages_of_user
-- A language of no person.
INSERT INTO mail_languages (user_id, language) VALUES (gen_random_uuid(), 'ko');

-- name: mail_languages_known
-- A language without texts.
INSERT INTO mail_languages (user_id, language) VALUES ('00000000-0000-7000-8000-000000000000', 'fr');

-- name: disputes_id_unique
-- Two disputes with one id.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, amount_minor, opened_at, changed_at, currency,
                      payment_key, reason)
SELECT 'toss', 'd-' || n, user_id, user_id, 1000, now(), now(), 'KRW', 'p', 'fraud'
  FROM (SELECT user_id FROM users LIMIT 1) u CROSS JOIN generate_series(1, 2) n;

-- name: statement_findings_id_unique
-- Two findings with one id.
INSERT INTO statement_findings (provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at,
                                movement, currency)
SELECT 'toss', 't-' || n, 'amount', user_id, now(), now(), now(), 'capture', 'KRW'
  FROM (SELECT user_id FROM users LIMIT 1) u CROSS JOIN generate_series(1, 2) n;

-- name: posters_pkey
-- Two posters of one concert.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
SELECT concert_id, 1, 1, '{1}', repeat('0', 32), '#000000' FROM concerts, generate_series(1, 2);

-- name: posters_of_concert
-- The poster of no concert.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
VALUES (gen_random_uuid(), 1, 1, '{1}', repeat('0', 32), '#000000');

-- name: posters_size_positive
-- A picture without a size.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
SELECT concert_id, 1, 0, '{1}', repeat('0', 32), '#000000' FROM concerts;

-- name: posters_has_widths
-- A picture without files.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
SELECT concert_id, 1, 1, '{}', repeat('0', 32), '#000000' FROM concerts;

-- name: posters_hash_whole
-- A hash that is a path.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
SELECT concert_id, 1, 1, '{1}', '../../x', '#000000' FROM concerts;

-- name: posters_colour_code
-- A colour that is a style.
INSERT INTO posters (concert_id, width_px, height_px, widths_px, image_hash, colour)
SELECT concert_id, 1, 1, '{1}', repeat('0', 32), 'url(x)' FROM concerts;

-- name: poster_files_pkey
-- Two files at one address.
INSERT INTO poster_files (image_hash, name, content)
SELECT repeat('0', 32), '320.webp', '\x00' FROM generate_series(1, 2);

-- name: poster_files_not_empty
-- A file without content.
INSERT INTO poster_files (image_hash, name, content) VALUES (repeat('0', 32), '320.webp', '');

-- name: brands_pkey
-- Two brands of one organization.
INSERT INTO brands (organization_id)
SELECT organization_id FROM organizations, generate_series(1, 2);

-- name: brands_of_organization
-- The brand of no organization.
INSERT INTO brands (organization_id) VALUES (gen_random_uuid());

-- name: brands_accent_code
-- A colour that is a style.
INSERT INTO brands (organization_id, accent) SELECT organization_id, 'url(x)' FROM organizations;

-- name: brands_logo_agrees
-- A logo without a size.
INSERT INTO brands (organization_id, logo_hash) SELECT organization_id, repeat('0', 32) FROM organizations;

-- name: brands_logo_hash_whole
-- A hash that is a path.
INSERT INTO brands (organization_id, logo_hash, logo_width_px, logo_height_px, logo_ground)
SELECT organization_id, '../../x', 1, 1, '#000000' FROM organizations;

-- name: brands_logo_size_positive
-- A logo without a height.
INSERT INTO brands (organization_id, logo_hash, logo_width_px, logo_height_px, logo_ground)
SELECT organization_id, repeat('0', 32), 1, 0, '#000000' FROM organizations;

-- name: brands_widget_origins_plain
-- A site that would end the header's directive.
INSERT INTO brands (organization_id, widget_origins)
SELECT organization_id, ARRAY['https://venue.example; script-src *'] FROM organizations;

-- name: featured_concerts_pkey
-- Two concerts at the top.
INSERT INTO featured_concerts (concert_id, chosen_by)
SELECT c.concert_id, c.organizer_id FROM concerts c, generate_series(1, 2);

-- name: featured_concerts_of_concert
-- A concert that does not exist.
INSERT INTO featured_concerts (concert_id, chosen_by) SELECT gen_random_uuid(), organizer_id FROM concerts;

-- name: featured_concerts_of_operator
-- Chosen by an account that does not exist.
INSERT INTO featured_concerts (concert_id, chosen_by) SELECT concert_id, gen_random_uuid() FROM concerts LIMIT 1;

-- name: featured_concerts_place_known
-- A place that no list has.
INSERT INTO featured_concerts (place, concert_id, chosen_by) SELECT 'x', concert_id, organizer_id FROM concerts;

-- name: venues_pkey
-- Two venues with one id.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, '00000000-0000-7000-8000-000000000000', 'V', 'KR', 'Asia/Seoul'
  FROM generate_series(1, 2);

-- name: venues_key_unique
-- One request that creates two venues.
INSERT INTO venues (venue_id, organization_id, creation_key, name, country, time_zone)
SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'k', 'V', 'KR', 'Asia/Seoul'
  FROM generate_series(1, 2);

-- name: venues_of_organization
-- A venue without an owner.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone)
VALUES (gen_random_uuid(), gen_random_uuid(), 'V', 'KR', 'Asia/Seoul');

-- name: venues_version_counted
-- A version below the first.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone, version)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'V', 'KR', 'Asia/Seoul', 0);

-- name: venues_country_code
-- A country that is no code.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'V', 'Korea', 'Asia/Seoul');

-- name: venues_time_zone_named
-- A time zone without a name.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'V', 'KR', '');

-- name: venues_place_on_earth
-- A place beyond the pole.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone, latitude, longitude)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'V', 'KR', 'Asia/Seoul', 91, 0);

-- name: venues_place_on_earth__half
-- A latitude alone.
INSERT INTO venues (venue_id, organization_id, name, country, time_zone, latitude)
VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', 'V', 'KR', 'Asia/Seoul', 37);

-- name: concerts_version_counted
-- A version below the first.
UPDATE concerts SET version = 0;

-- name: concerts_times_positive
-- A concert that ends before it begins.
UPDATE concerts SET running_time_min = -1;

-- name: concerts_genre_named
-- A genre without a name.
UPDATE concerts SET genre = '';

-- name: concerts_age_rating_known
-- An unknown age rating.
UPDATE concerts SET age_rating = '18';

-- name: schedules_at_venue
-- A performance at no venue.
UPDATE schedules SET venue_id = gen_random_uuid();

-- name: schedules_version_counted
-- A version below the first.
UPDATE schedules SET version = 0;

-- name: schedules_doors_before_start
-- Doors that open after the start.
UPDATE schedules SET doors_at = starts_at + interval '1 minute';

-- name: schedules_change_agrees
-- Returned without a fee because of no change.
UPDATE schedules SET refundable_until = starts_at;

-- name: schedules_cancelled_agrees
-- Cancelled at no time.
UPDATE schedules SET status = 'CANCELLED';

-- name: schedules_cancelled_agrees__open
-- Cancelled and on sale.
UPDATE schedules SET cancelled_at = now();

-- name: schedule_changes_pkey
-- Two changes with one id.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint)
SELECT s.schedule_id, s.schedule_id, gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CHANGED', 'V', 'V',
       'k' || n, '\x'
  FROM schedules s CROSS JOIN generate_series(1, 2) n;

-- name: schedule_changes_key_unique
-- Two changes for one key.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CHANGED', 'V', 'V',
       'k', '\x'
  FROM schedules s CROSS JOIN generate_series(1, 2) n;

-- name: schedule_changes_kind_known
-- An unknown kind.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'RENAMED', 'V', 'V',
       'k', '\x'
  FROM schedules s;

-- name: schedule_changes_counted
-- Fewer mails than none.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint, mails)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CHANGED', 'V', 'V',
       'k', '\x', -1
  FROM schedules s;

-- name: schedule_changes_refund_agrees
-- A cancellation without refunds.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CANCELLED', 'V', 'V',
       'k', '\x'
  FROM schedules s;

-- name: schedule_changes_refund_agrees__changed
-- Refunds without a cancellation.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint, refund_job_id)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CHANGED', 'V', 'V',
       'k', '\x', gen_random_uuid()
  FROM schedules s;

-- name: schedule_changes_ends_notified
-- Finished before all mails were queued.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint, finished_at)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CHANGED', 'V', 'V',
       'k', '\x', now()
  FROM schedules s;

-- name: schedule_changes_cancelled_once
-- Two cancellations of one schedule.
INSERT INTO schedule_changes (schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind,
                              venue_before, venue_after, idempotency_key, fingerprint, refund_job_id)
SELECT s.schedule_id, gen_random_uuid(), gen_random_uuid(), now(), s.starts_at, s.starts_at, 'CANCELLED', 'V', 'V',
       'k' || n, '\x', gen_random_uuid()
  FROM schedules s CROSS JOIN generate_series(1, 2) n;

-- name: schedule_offers_pkey
-- Two sets of terms for one schedule.
INSERT INTO schedule_offers (schedule_id, changed_at) SELECT schedule_id, changed_at FROM schedule_offers;

-- name: schedule_offers_fee_bounded
-- A fee that pays the buyer.
UPDATE schedule_offers SET fee_minor = -1;

-- name: price_types_pkey
-- Two price types with one code.
INSERT INTO price_types (schedule_id, code, ordinal, percent_off, amount_off_minor, name, name_ko, note, note_ko)
SELECT schedule_id, code, 1, 0, 0, name, name_ko, note, note_ko FROM price_types;

-- name: price_types_reduction_bounded
-- A reduction that raises the price.
UPDATE price_types SET percent_off = -1;

-- name: price_types_reduction_bounded__amount
-- An amount that raises the price.
UPDATE price_types SET amount_off_minor = -1;

-- name: sales_channels_pkey
-- Two channels with one code.
INSERT INTO sales_channels (schedule_id, code, name, is_default) SELECT schedule_id, code, name, false FROM sales_channels;

-- name: sales_channels_quota_kept
-- More seats than the quota.
UPDATE sales_channels SET taken = quota + 1;

-- name: sales_channels_one_default
-- Two default channels.
INSERT INTO sales_channels (schedule_id, code, name, is_default) SELECT schedule_id, 'two', name, true FROM sales_channels;

-- name: code_batches_pkey
-- Two batches with one id.
INSERT INTO code_batches (schedule_id, batch_id, created_at, created_by, amount_off_minor, percent_off, codes,
                          is_presale, is_shared, name, idempotency_key)
SELECT schedule_id, batch_id, created_at, created_by, 0, 0, 1, false, false, name, 'another' FROM code_batches;

-- name: code_batches_key_unique
-- One request that made two batches.
INSERT INTO code_batches (schedule_id, batch_id, created_at, created_by, amount_off_minor, percent_off, codes,
                          is_presale, is_shared, name, idempotency_key)
SELECT schedule_id, gen_random_uuid(), created_at, created_by, 0, 0, 1, false, false, name, idempotency_key
  FROM code_batches;

-- name: code_batches_reduction_bounded
-- A discount of more than the price.
UPDATE code_batches SET percent_off = 101;

-- name: code_batches_limits_positive
-- Codes without any use.
UPDATE code_batches SET uses_max = 0;

-- name: code_batches_window
-- Codes that end before they begin.
UPDATE code_batches SET valid_from = now(), valid_until = now() - interval '1 hour';

-- name: offer_codes_pkey
-- One code twice.
INSERT INTO offer_codes (schedule_id, code_hash, batch_id, suffix) SELECT schedule_id, code_hash, batch_id, '' FROM offer_codes;

-- name: offer_codes_of_batch
-- A code without terms.
UPDATE offer_codes SET batch_id = gen_random_uuid();

-- name: offer_codes_uses_kept
-- A code that is used more often than allowed.
UPDATE offer_codes SET taken = uses_max + 1;

-- name: seat_attributes_pkey
-- A seat that is described twice.
INSERT INTO seat_attributes (schedule_id, seat_id, is_accessible, note, note_ko)
SELECT schedule_id, seat_id, false, '', '' FROM seat_attributes LIMIT 1;

-- name: seat_attributes_partner_differs
-- A seat that is sold together with itself.
UPDATE seat_attributes SET partner_id = seat_id;

-- name: reservation_offers_pkey
-- Two prices of one reservation.
INSERT INTO reservation_offers (schedule_id, reservation_id, user_id, seats, price_types, prices_minor,
                                discounts_minor, fees_minor)
SELECT schedule_id, reservation_id, user_id, 1, price_types, prices_minor, discounts_minor, fees_minor
  FROM reservation_offers LIMIT 1;

-- name: reservation_offers_state_agrees
-- A use that has ended and still counts.
UPDATE reservation_offers SET state = 'RETURNED';

-- name: reservation_offers_state_agrees__unknown
-- An unknown state.
UPDATE reservation_offers SET state = 'LOST';

-- name: reservation_offers_code_agrees
-- A code without its batch.
UPDATE reservation_offers SET batch_id = NULL, code_hash = '\x00';

-- name: reservation_offers_lines_agree
-- A price without a fee.
UPDATE reservation_offers SET fees_minor = '{}';

-- name: organization_invitations_pkey
-- Two invitations with one id.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, organization_id, organization_id, n || '@example.org', 'door', 'ko', now()
  FROM organizations, generate_series(1, 2) n;

-- name: organization_invitations_of_organization
-- An invitation to nothing.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), gen_random_uuid(), user_id, 'a@example.org', 'door', 'ko', now() FROM users LIMIT 1;

-- name: organization_invitations_of_inviter
-- An invitation without an inviter.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), organization_id, gen_random_uuid(), 'a@example.org', 'door', 'ko', now() FROM organizations;

-- name: organization_invitations_of_invitee
-- An invitation that was accepted without an account.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at, accepted_at, accepted_by)
SELECT gen_random_uuid(), organization_id, organization_id, 'a@example.org', 'door', 'ko', now(), now(), gen_random_uuid() FROM organizations;

-- name: organization_invitations_role_known
-- An invitation to be anything.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), organization_id, organization_id, 'a@example.org', 'boss', 'ko', now() FROM organizations;

-- name: organization_invitations_language_known
-- A mail in an unknown language.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), organization_id, organization_id, 'a@example.org', 'door', 'xx', now() FROM organizations;

-- name: organization_invitations_email_lower
-- An address that no account has.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), organization_id, organization_id, 'A@example.org', 'door', 'ko', now() FROM organizations;

-- name: organization_invitations_end_agrees
-- An invitation that was accepted and revoked.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at, accepted_at, accepted_by, revoked_at)
SELECT gen_random_uuid(), organization_id, organization_id, 'a@example.org', 'door', 'ko', now(), now(), organization_id, now() FROM organizations;

-- name: organization_invitations_one_open
-- Two open invitations of one address.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
SELECT gen_random_uuid(), organization_id, organization_id, 'a@example.org', 'door', 'ko', now() FROM organizations, generate_series(1, 2);

-- name: organizer_applications_pkey
-- Two applications with one id.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note, state, decided_at, decided_by)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, user_id, 'O', 'C', '', 'REJECTED', now(), user_id
  FROM (SELECT user_id FROM users LIMIT 1) u, generate_series(1, 2);

-- name: organizer_applications_of_user
-- An application without an account.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note)
VALUES (gen_random_uuid(), gen_random_uuid(), 'O', 'C', '');

-- name: organizer_applications_of_organization
-- An approval that created nothing.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note, state, decided_at, decided_by, organization_id)
SELECT gen_random_uuid(), user_id, 'O', 'C', '', 'APPROVED', now(), user_id, gen_random_uuid() FROM users LIMIT 1;

-- name: organizer_applications_state_known
-- An unknown state.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note, state, decided_at, decided_by)
SELECT gen_random_uuid(), user_id, 'O', 'C', '', 'LOST', now(), user_id FROM users LIMIT 1;

-- name: organizer_applications_decided_agrees
-- A decision of no operator.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note, state, decided_at)
SELECT gen_random_uuid(), user_id, 'O', 'C', '', 'REJECTED', now() FROM users LIMIT 1;

-- name: organizer_applications_one_waiting
-- Two applications of one account that wait.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note)
SELECT gen_random_uuid(), user_id, 'O', 'C', '' FROM (SELECT user_id FROM users LIMIT 1) u, generate_series(1, 2);

-- name: order_numbers_pkey
-- A second number of one reservation.
INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
SELECT schedule_id, reservation_id, '000000000' FROM order_numbers LIMIT 1;

-- name: order_numbers_number_unique
-- The number of another reservation.
INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
SELECT schedule_id, gen_random_uuid(), order_number FROM order_numbers LIMIT 1;

-- name: order_numbers_number_known
-- A number with a letter that is mistaken for a digit.
INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
SELECT schedule_id, gen_random_uuid(), '4KX792MQI' FROM order_numbers LIMIT 1;

-- name: account_links_pkey
-- Two links with one id.
INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email)
SELECT '00000000-0000-7000-8000-000000000000'::uuid, gen_random_uuid(), 60, 0, 'verify_email', 'a@example.org'
  FROM generate_series(1, 2);

-- name: account_links_purpose_known
-- A link for nothing.
INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email)
VALUES (gen_random_uuid(), gen_random_uuid(), 60, 0, 'win_a_prize', 'a@example.org');

-- name: account_links_language_known
-- A mail in an unknown language.
INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email, language)
VALUES (gen_random_uuid(), gen_random_uuid(), 60, 0, 'verify_email', 'a@example.org', 'xx');

-- name: account_links_before_agrees
-- A change of address that forgets the old one.
INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email)
VALUES (gen_random_uuid(), gen_random_uuid(), 60, 0, 'change_email', 'a@example.org');

-- name: account_links_used_was_sent
-- A link that was used before it was mailed.
INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email, used_at)
VALUES (gen_random_uuid(), gen_random_uuid(), 60, 0, 'verify_email', 'a@example.org', now());

-- name: account_sessions_pkey
-- Two log-ins with one id.
INSERT INTO account_sessions (user_id, session_id, expires_at, version, token_id, browser, system)
SELECT user_id, '00000000-0000-7000-8000-000000000000'::uuid, now(), 0, 't', '', ''
  FROM (SELECT user_id FROM users LIMIT 1) u, generate_series(1, 2);

-- name: account_sessions_of_user
-- A log-in without an account.
INSERT INTO account_sessions (user_id, session_id, expires_at, version, token_id, browser, system)
VALUES (gen_random_uuid(), gen_random_uuid(), now(), 0, 't', '', '');

-- name: waiting_lists_pkey
-- Two lists of a schedule.
INSERT INTO waiting_lists (schedule_id, changed_at, is_on) SELECT schedule_id, changed_at, false FROM waiting_lists;

-- name: waiting_lists_of_schedule
-- A list of no schedule.
INSERT INTO waiting_lists (schedule_id, changed_at, is_on) VALUES (gen_random_uuid(), now(), true);

-- name: waiting_lists_place_not_negative
-- Fewer places than none.
UPDATE waiting_lists SET last_place = -1;

-- name: waiting_list_entries_pkey
-- Two entries with one id.
INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, ended_at, seats, status,
                                  idempotency_key, fingerprint)
SELECT schedule_id, entry_id, gen_random_uuid(), 99, joined_at, joined_at, 1, 'LEFT', 'another', '\x'
  FROM waiting_list_entries LIMIT 1;

-- name: waiting_list_entries_key_unique
-- One request that joined twice.
INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, ended_at, seats, status,
                                  idempotency_key, fingerprint)
SELECT schedule_id, gen_random_uuid(), user_id, 99, joined_at, joined_at, 1, 'LEFT', idempotency_key, '\x'
  FROM waiting_list_entries LIMIT 1;

-- name: waiting_list_entries_place_unique
-- A place that is given twice.
INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, ended_at, seats, status,
                                  idempotency_key, fingerprint)
SELECT schedule_id, gen_random_uuid(), gen_random_uuid(), place, joined_at, joined_at, 1, 'LEFT', 'another', '\x'
  FROM waiting_list_entries LIMIT 1;

-- name: waiting_list_entries_seats_positive
-- An entry for no seat.
UPDATE waiting_list_entries SET seats = 0;

-- name: waiting_list_entries_status_known
-- An unknown status.
UPDATE waiting_list_entries SET status = 'LOST', ended_at = now() WHERE status = 'WAITING';

-- name: waiting_list_entries_status_agrees
-- An offer of an entry that waits.
UPDATE waiting_list_entries SET reservation_id = gen_random_uuid() WHERE status = 'WAITING';

-- name: waiting_list_entries_status_agrees__ended
-- An entry that waits and has ended.
UPDATE waiting_list_entries SET ended_at = now() WHERE status = 'WAITING';

-- name: waiting_list_entries_one_live
-- A person who waits twice in one line.
INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, seats, idempotency_key,
                                  fingerprint)
SELECT schedule_id, gen_random_uuid(), user_id, 99, joined_at, 1, 'another', '\x'
  FROM waiting_list_entries WHERE status = 'WAITING';

-- name: waiting_list_entries_one_per_reservation
-- One hold that two entries were offered.
INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, offered_at, offer_expires_at,
                                  ended_at, reservation_id, seats, status, idempotency_key, fingerprint)
SELECT schedule_id, gen_random_uuid(), gen_random_uuid(), 99, joined_at, offered_at, offer_expires_at, now(),
       reservation_id, 1, 'LAPSED', 'another', '\x'
  FROM waiting_list_entries WHERE status = 'OFFERED';

-- name: creation_keys_pkey
-- One key for two concerts.
INSERT INTO creation_keys (organization_id, kind, creation_key, fingerprint, created_id)
SELECT c.organization_id, 'concert', 'k', '\x', gen_random_uuid()
  FROM concerts c CROSS JOIN generate_series(1, 2);

-- name: creation_keys_kind_known
-- The key of something else.
INSERT INTO creation_keys (organization_id, kind, creation_key, fingerprint, created_id)
SELECT c.organization_id, 'seat', 'k', '\x', gen_random_uuid() FROM concerts c;

-- name: creation_keys_of_organization
-- The key of no organization.
INSERT INTO creation_keys (organization_id, kind, creation_key, fingerprint, created_id)
VALUES (gen_random_uuid(), 'concert', 'k', '\x', gen_random_uuid());

-- name: given_up_statements_pkey
-- One statement that was given up twice.
INSERT INTO given_up_statements (number) VALUES (1), (1);

-- name: restores_pkey
-- One incarnation, twice.
INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
SELECT 1, clock_timestamp(), 'epoch', 'b', 'latest' FROM generate_series(1, 2);

-- name: restores_incarnation_fits
-- More incarnations than the ids of events have room for.
INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
VALUES (128, clock_timestamp(), 'epoch', 'b', 'latest');

-- name: restores_forward
-- A restore to the future.
INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
VALUES (1, clock_timestamp(), 'infinity', 'b', 'latest');
