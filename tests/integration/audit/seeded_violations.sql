-- Violations seeded into the database of `normal_run.sql`, whose header lists the data.
-- Each runs in a transaction that is rolled back after the audit has seen it.

-- name: one_live_ticket_per_seat__second_ticket
-- Overselling, with the index that forbids it taken away.
DROP INDEX tickets_one_live_per_seat;
INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
SELECT schedule_id, gen_random_uuid(), reservation_id, payment_id, user_id, seat_id, position, issued_at
  FROM tickets WHERE seat_id = 'S01';

-- name: one_row_per_seat__second_row
-- A seat that exists twice.
ALTER TABLE seats DROP CONSTRAINT seats_pkey;
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT schedule_id, price_minor, 99, 99, seat_id, section, row_label, grade
  FROM seats WHERE seat_id = 'S12';

-- name: one_row_per_seat__second_place
-- One place under two ids.
ALTER TABLE seats DROP CONSTRAINT seats_place_unique;
INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
SELECT schedule_id, price_minor, ordinal, number, 'S12-again', section, row_label, grade
  FROM seats WHERE seat_id = 'S12';

-- name: one_live_reservation_per_seat__listed_twice
-- A second hold lists a sold seat.
UPDATE reservations SET seat_ids = ARRAY['S01'] WHERE idempotency_key = 'k2';

-- name: states_are_known__seat
-- An unknown state.
ALTER TABLE seats DROP CONSTRAINT seats_state_agrees;
UPDATE seats SET state = 'LOST' WHERE seat_id = 'S12';

-- name: states_are_known__seat_columns
-- An available seat with an owner.
ALTER TABLE seats DROP CONSTRAINT seats_state_agrees;
UPDATE seats SET user_id = gen_random_uuid() WHERE seat_id = 'S12';

-- name: states_are_known__reservation
-- An unknown status.
ALTER TABLE reservations DROP CONSTRAINT reservations_status_known;
UPDATE reservations SET status = 'LOST' WHERE idempotency_key = 'k5';

-- name: states_are_known__closed_hold
-- A hold that is closed and is not.
ALTER TABLE reservations DROP CONSTRAINT reservations_closed_at_agrees;
UPDATE reservations SET closed_at = clock_timestamp() WHERE idempotency_key = 'k2';

-- name: states_are_known__ticket
-- An unknown status.
ALTER TABLE tickets DROP CONSTRAINT tickets_status_known;
UPDATE tickets SET status = 'LOST' WHERE seat_id = 'S01';

-- name: states_are_known__payment
-- An unknown status.
ALTER TABLE payments DROP CONSTRAINT payments_status_known;
UPDATE payments SET status = 'LOST' WHERE idempotency_key = 'p1';

-- name: sold_seat_has_its_sale__no_ticket
-- A sold seat whose ticket is gone.
DELETE FROM tickets WHERE seat_id = 'S01';

-- name: sold_seat_has_its_sale__void_ticket
-- A sold seat whose ticket is void.
UPDATE tickets SET status = 'VOID' WHERE seat_id = 'S01';

-- name: sold_seat_has_its_sale__anothers_ticket
-- A sold seat whose ticket is another person's.
UPDATE tickets SET user_id = '00000000-0000-7000-8000-000000000002' WHERE seat_id = 'S01';

-- name: sold_seat_has_its_sale__not_confirmed
-- A sold seat whose reservation is only held.
UPDATE reservations SET status = 'HELD', closed_at = NULL WHERE idempotency_key = 'k1';

-- name: sold_seat_has_its_sale__not_listed
-- A sold seat that its reservation does not list.
UPDATE reservations SET seat_ids = ARRAY['S02'] WHERE idempotency_key = 'k1';

-- name: sold_seat_has_its_sale__without_reservation
-- A sold seat of a reservation that does not exist.
UPDATE seats SET state = 'SOLD', reservation_id = gen_random_uuid(),
                 user_id = '00000000-0000-7000-8000-000000000002'
 WHERE seat_id = 'S12';

-- name: held_seat_has_its_hold__phantom
-- A seat held for a reservation that does not exist.
UPDATE seats SET state = 'HELD', reservation_id = gen_random_uuid(),
                 user_id = '00000000-0000-7000-8000-000000000002',
                 expires_at = clock_timestamp() + interval '1 minute'
 WHERE seat_id = 'S12';

-- name: held_seat_has_its_hold__owner
-- A seat held for another user than its reservation is.
UPDATE seats SET user_id = '00000000-0000-7000-8000-000000000001' WHERE seat_id = 'S03';

-- name: held_seat_has_its_hold__time
-- A seat whose time is not its reservation's.
UPDATE seats SET expires_at = expires_at - interval '1 second' WHERE seat_id = 'S03';

-- name: held_seat_has_its_hold__cancelled
-- A seat still held for a cancelled reservation.
UPDATE reservations SET status = 'CANCELLED', closed_at = clock_timestamp() WHERE idempotency_key = 'k2';

-- name: held_seat_has_its_hold__refunded
-- A seat still held for a refund, in a schedule without a return delay.
UPDATE seats s SET state = 'HELD', reservation_id = p.reservation_id, user_id = p.user_id,
                   expires_at = clock_timestamp() + interval '1 minute'
  FROM refunds f
  JOIN payments p ON p.payment_id = f.payment_id
 WHERE s.schedule_id = f.schedule_id AND s.seat_id = f.seat_ids[1];

-- name: lapsed_seat_had_its_hold__refunded
-- A seat that lapsed later after its refund than the schedule's return delay allows.
UPDATE seats s SET state = 'HELD', reservation_id = p.reservation_id, user_id = p.user_id,
                   expires_at = f.created_at + interval '1 second'
  FROM refunds f
  JOIN payments p ON p.payment_id = f.payment_id
 WHERE s.schedule_id = f.schedule_id AND s.seat_id = f.seat_ids[1];

-- name: held_seat_has_its_hold__not_listed
-- A held seat that its reservation does not list.
UPDATE reservations SET seat_ids = ARRAY['S12'] WHERE idempotency_key = 'k2';

-- name: lapsed_seat_had_its_hold__owner
-- A lapsed seat of another user than its reservation is.
UPDATE seats SET user_id = '00000000-0000-7000-8000-000000000001' WHERE seat_id = 'S04';

-- name: lapsed_seat_had_its_hold__cancelled
-- A lapsed seat of a cancelled reservation, which should have given it back.
UPDATE reservations SET status = 'CANCELLED', closed_at = clock_timestamp() WHERE idempotency_key = 'k3';

-- name: lapsed_seat_had_its_hold__time
-- A lapsed seat whose time is not its reservation's.
UPDATE seats SET expires_at = expires_at - interval '1 second' WHERE seat_id = 'S04';

-- name: free_seat_is_unclaimed__held
-- A hold whose seat went back on sale.
UPDATE seats SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL, expires_at = NULL
 WHERE seat_id = 'S03';

-- name: free_seat_is_unclaimed__ticket
-- A live ticket for a seat that is on sale.
INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
SELECT schedule_id, gen_random_uuid(), reservation_id, payment_id, user_id, 'S12', 1, issued_at
  FROM tickets WHERE seat_id = 'S01';

-- name: free_seat_is_unclaimed__blocked
-- A hold that lists a blocked seat.
UPDATE reservations SET seat_ids = ARRAY['S11'] WHERE idempotency_key = 'k2';

-- name: live_reservation_owns_its_seats__sold_seat_lost
-- A confirmed reservation whose seat another user holds.
UPDATE seats SET state = 'HELD', reservation_id = '00000000-0000-7000-8000-0000000000b2',
                 user_id = '00000000-0000-7000-8000-000000000002', expires_at = clock_timestamp()
 WHERE seat_id = 'S01';

-- name: live_reservation_owns_its_seats__held_seat_lost
-- A hold whose seat is held for another hold.
UPDATE seats SET reservation_id = '00000000-0000-7000-8000-0000000000b7' WHERE seat_id = 'S03';

-- name: live_reservation_owns_its_seats__missing_seat
-- A hold whose seat does not exist any more.
DELETE FROM seats WHERE seat_id = 'S03';

-- name: reservation_lists_its_seats_once__twice
-- One seat, listed twice.
UPDATE reservations SET seat_ids = ARRAY['S07', 'S07'] WHERE idempotency_key = 'k5';

-- name: reservation_lists_its_seats_once__foreign
-- A seat that the schedule does not have.
UPDATE reservations SET seat_ids = ARRAY['X99'] WHERE idempotency_key = 'k5';

-- name: reservation_lists_its_seats_once__none
-- No seats at all.
ALTER TABLE reservations DROP CONSTRAINT reservations_has_seats;
UPDATE reservations SET seat_ids = '{}' WHERE idempotency_key = 'k5';

-- name: reservation_amount_is_the_price__amount
-- Another amount than the seats cost.
UPDATE reservations SET amount_minor = amount_minor - 1 WHERE idempotency_key = 'k2';

-- name: reservation_amount_is_the_price__currency
-- Another currency than the schedule's.
UPDATE reservations SET currency = 'USD' WHERE idempotency_key = 'k2';

-- name: confirmed_reservation_is_paid_once__unpaid
-- Confirmed without a payment.
DELETE FROM payments WHERE idempotency_key = 'p8';

-- name: confirmed_reservation_is_paid_once__twice
-- Two payments for one reservation.
ALTER TABLE payments DROP CONSTRAINT payments_once_per_reservation;
INSERT INTO payments (schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
                      currency, idempotency_key, fingerprint, ticket_ids)
SELECT schedule_id, gen_random_uuid(), reservation_id, user_id, amount_minor, created_at, method,
       currency, 'p8-again', fingerprint, ticket_ids
  FROM payments WHERE idempotency_key = 'p8';

-- name: confirmed_reservation_is_paid_once__amount
-- A payment of less than the reservation's amount.
UPDATE payments SET amount_minor = amount_minor - 1 WHERE idempotency_key = 'p1';

-- name: confirmed_reservation_is_paid_once__owner
-- Paid by another person.
UPDATE payments SET user_id = '00000000-0000-7000-8000-000000000002' WHERE idempotency_key = 'p1';

-- name: confirmed_reservation_is_paid_once__currency
-- Paid in another currency.
UPDATE payments SET currency = 'USD' WHERE idempotency_key = 'p1';

-- name: payment_confirmed_its_reservation__not_confirmed
-- Money taken for a reservation that was cancelled.
UPDATE reservations SET status = 'CANCELLED' WHERE idempotency_key = 'k1';

-- name: payment_confirmed_its_reservation__missing
-- Money taken for a reservation that does not exist.
DELETE FROM reservations WHERE idempotency_key = 'k1';

-- name: payment_confirmed_its_reservation__late
-- Paid after the hold had expired.
UPDATE payments SET created_at = created_at + interval '2 days' WHERE idempotency_key = 'p1';

-- name: confirmed_reservation_has_its_tickets__missing
-- A seat without a ticket.
DELETE FROM tickets WHERE seat_id = 'S02';

-- name: confirmed_reservation_has_its_tickets__of_another
-- The ticket belongs to another reservation.
UPDATE tickets SET reservation_id = '00000000-0000-7000-8000-0000000000b8' WHERE seat_id = 'S02';

-- name: live_ticket_has_its_sale__seat
-- A ticket for a seat that its reservation does not list.
UPDATE tickets SET seat_id = 'S13' WHERE seat_id = 'S02';

-- name: live_ticket_has_its_sale__payment
-- A ticket without a payment.
UPDATE tickets SET payment_id = gen_random_uuid() WHERE seat_id = 'S02';

-- name: live_ticket_has_its_sale__owner
-- A ticket of another person than paid.
UPDATE tickets SET user_id = '00000000-0000-7000-8000-000000000003' WHERE seat_id = 'S02';

-- name: transfer_sums_to_zero__unbalanced
-- Money out of nothing, with the triggers off.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET amount_minor = amount_minor + 1
 WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9' AND leg = 2;

-- name: transfer_sums_to_zero__one_leg
-- Half a transfer.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
DELETE FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9' AND leg = 1;

-- name: transfer_sums_to_zero__no_legs
-- A transfer that moves nothing.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
DELETE FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';

-- name: transfer_sums_to_zero__currencies
-- Legs in two currencies.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET currency = 'USD'
 WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9' AND leg = 2;

-- name: transfer_sums_to_zero__amount
-- Balanced, but over another amount than the transfer says.
ALTER TABLE transfers DISABLE TRIGGER USER;
UPDATE transfers SET amount_minor = 1 WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';

-- name: transfer_moves_between_its_accounts__free_ride
-- A payment from the wallet that was booked as cash.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET account = 'cash'
 WHERE transfer_id = '00000000-0000-7000-8000-0000000000f1' AND leg = 1;

-- name: transfer_moves_between_its_accounts__schedule
-- Income booked to another schedule than was sold.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET schedule_id = gen_random_uuid()
 WHERE transfer_id = '00000000-0000-7000-8000-0000000000f1' AND leg = 2;

-- name: entry_has_its_transfer__orphans
-- Entries whose transfer is gone, foreign key and triggers off.
SET LOCAL session_replication_role = replica;
DELETE FROM transfers WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';
SET LOCAL session_replication_role = origin;

-- name: payment_has_its_transfer__missing
-- A payment that moved no money.
SET LOCAL session_replication_role = replica;
DELETE FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';
DELETE FROM transfers WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';
SET LOCAL session_replication_role = origin;

-- name: payment_has_its_transfer__twice
-- A payment that took the money twice.
WITH transfer AS (
    INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
    SELECT user_id, '00000000-0000-7000-8000-0000000000ff', kind, amount_minor, currency, schedule_id,
           payment_id, created_at
      FROM transfers WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9'
)
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
SELECT user_id, '00000000-0000-7000-8000-0000000000ff', leg, account, schedule_id, amount_minor, currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000f9';

-- name: payment_has_its_transfer__amount
-- A payment that moved another amount than it says.
UPDATE payments SET amount_minor = amount_minor + 1 WHERE idempotency_key = '00000000-0000-7000-8000-0000000000a9';

-- name: payment_has_its_transfer__free
-- A payment over nothing that moved money.
UPDATE payments SET amount_minor = 0 WHERE idempotency_key = '00000000-0000-7000-8000-0000000000a9';

-- name: payment_transfer_has_its_payment__missing
-- A transfer of a payment that does not exist.
DELETE FROM payments WHERE idempotency_key = '00000000-0000-7000-8000-0000000000a9';

-- name: payment_transfer_has_its_payment__top_up
-- A top-up that names a payment.
ALTER TABLE transfers DISABLE TRIGGER USER;
ALTER TABLE transfers DROP CONSTRAINT transfers_payment_agrees;
UPDATE transfers SET payment_id = '00000000-0000-7000-8000-0000000000e8',
                     schedule_id = '00000000-0000-7000-8000-0000000000aa'
 WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: wallet_is_not_negative__overdrawn
-- A wallet below zero.
ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative;
UPDATE wallets SET balance_minor = -1 WHERE user_id = '00000000-0000-7000-8000-000000000001';

-- name: wallet_equals_its_entries__more
-- A balance above the sum of the entries.
UPDATE wallets SET balance_minor = balance_minor + 1
 WHERE user_id = '00000000-0000-7000-8000-000000000001';

-- name: wallet_equals_its_entries__without_entries
-- Money in a wallet that was never topped up.
UPDATE wallets SET balance_minor = 1 WHERE user_id = '00000000-0000-7000-8000-000000000003';

-- name: wallet_equals_its_entries__without_wallet
-- Entries of a wallet that does not exist.
DELETE FROM wallets WHERE user_id = '00000000-0000-7000-8000-000000000001';

-- name: wallet_equals_its_entries__currency
-- A wallet that counts its entries in another currency.
UPDATE wallets SET currency = 'USD' WHERE user_id = '00000000-0000-7000-8000-000000000001';

-- name: wallet_belongs_to_a_person__nobody
-- A wallet without a person.
INSERT INTO wallets (user_id, currency) VALUES (gen_random_uuid(), 'KRW');

-- name: wallet_belongs_to_a_person__without_wallet
-- A person without a wallet.
DELETE FROM wallets WHERE user_id = '00000000-0000-7000-8000-000000000003';

-- name: hold_is_within_its_time__longer
-- A hold that lasts a second too long, seat and all.
UPDATE reservations SET expires_at = expires_at + interval '1 second' WHERE idempotency_key = 'k2';
UPDATE seats SET expires_at = expires_at + interval '1 second' WHERE seat_id = 'S03';

-- name: hold_is_within_its_time__extended
-- A hold that is being paid, and lasts longer than its intent says.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, amount_minor, created_at, changed_at,
                             session_ends_at, hold_ends_at, purpose, provider, currency, idempotency_key, fingerprint)
SELECT user_id, user_id, schedule_id, reservation_id, amount_minor, now(), now(), now(), expires_at, 'reservation',
       'toss', currency, 'i', '\x00'
  FROM reservations WHERE idempotency_key = 'k2';
UPDATE reservations SET expires_at = expires_at + interval '1 second' WHERE idempotency_key = 'k2';
UPDATE seats SET expires_at = expires_at + interval '1 second' WHERE seat_id = 'S03';

-- name: hold_is_within_its_time__negative
-- A hold that had ended before it began.
UPDATE reservations SET expires_at = created_at WHERE idempotency_key = 'k5';

-- name: seat_is_not_held_beyond_its_hold__phantom
-- A lapsed hold whose seat stays taken.
UPDATE seats SET expires_at = clock_timestamp() + interval '1 hour' WHERE seat_id = 'S04';

-- name: availability_recounts__phantom_sold_out
-- A lapsed hold that is still counted as taken.
UPDATE seats SET expires_at = clock_timestamp() + interval '1 hour' WHERE seat_id = 'S04';

-- name: availability_recounts__offered_twice
-- A sold seat that is offered again.
UPDATE seats SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL WHERE seat_id = 'S01';

-- name: ticket_limit_is_kept__lowered
-- More seats than the limit.
UPDATE schedules SET ticket_limit = 2;

-- name: event_has_its_cause__held
-- A hold that never was.
UPDATE outbox SET subject_ids[1] = gen_random_uuid() WHERE topic = 'reservation.held';

-- name: event_has_its_cause__status
-- The expiry of a hold that is still one.
INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, seat_ids, seats_to)
SELECT schedule_id, 'reservation.expired', created_at, ARRAY[reservation_id], ARRAY[user_id], seat_ids,
       ARRAY[1]
  FROM reservations WHERE idempotency_key = 'k2';

-- name: event_has_its_cause__confirmed
-- The confirmation of a hold that was not paid.
INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency, seat_ids,
                    seats_to)
SELECT schedule_id, 'reservation.confirmed', created_at, ARRAY[reservation_id], ARRAY[user_id],
       ARRAY[amount_minor], currency, seat_ids, ARRAY[1]
  FROM reservations WHERE idempotency_key = 'k2';

-- name: event_has_its_cause__cancelled
-- The cancellation of a hold that expired.
UPDATE outbox SET topic = 'reservation.cancelled' WHERE topic = 'reservation.expired';

-- name: event_has_its_cause__payment
-- A payment that never was.
UPDATE outbox SET subject_ids[1] = gen_random_uuid() WHERE topic = 'payment.succeeded';

-- name: event_has_its_cause__person
-- A payment of another person.
UPDATE outbox SET user_ids[1] = '00000000-0000-7000-8000-000000000002' WHERE topic = 'payment.succeeded';

-- name: event_has_its_cause__top_up
-- A top-up of another amount.
UPDATE outbox SET amounts_minor[1] = 1 WHERE topic = 'wallet.charged';

-- name: event_has_its_cause__seats
-- An event whose seats are its neighbour's.
UPDATE outbox SET seats_to[1] = 1 WHERE topic = 'reservation.held' AND cardinality(seats_to) > 1;

-- name: event_has_its_cause__topic
-- An unknown topic.
UPDATE outbox SET topic = 'reservation.lost' WHERE topic = 'reservation.cancelled';

-- name: hold_will_be_found_when_it_lapses__forgotten
-- A hold that no sweeper would ever close.
UPDATE lapsing_holds
   SET reservation_ids = array_remove(reservation_ids, '00000000-0000-7000-8000-0000000000b2');

-- name: hold_will_be_found_when_it_lapses__too_late
-- Holds that are looked at after their time only.
UPDATE lapsing_holds SET expires_at = expires_at + interval '1 hour';

-- name: payment_names_its_tickets__another
-- A payment that names a ticket which was never issued.
UPDATE payments SET ticket_ids[1] = gen_random_uuid() WHERE idempotency_key = 'p1';

-- name: payment_names_its_tickets__swapped
-- A payment that gives each seat the other one's ticket.
UPDATE payments SET ticket_ids = ARRAY[ticket_ids[2], ticket_ids[1]] WHERE idempotency_key = 'p1';

-- name: payment_names_its_tickets__none
-- A payment that names no ticket.
UPDATE payments SET ticket_ids = '{}' WHERE idempotency_key = 'p8';

-- name: idempotency_key_is_used_once__hold
-- One key, two holds.
ALTER TABLE reservations DROP CONSTRAINT reservations_key_unique;
UPDATE reservations SET idempotency_key = 'k4' WHERE idempotency_key = 'k1';

-- name: idempotency_key_is_used_once__payment
-- One key, two payments.
ALTER TABLE payments DROP CONSTRAINT payments_key_unique;
UPDATE payments SET idempotency_key = 'p1' WHERE idempotency_key = 'p8';

-- name: idempotency_key_is_used_once__top_up
-- One key, two top-ups.
DROP INDEX transfers_key_unique;
WITH transfer AS (
    INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint, created_at)
    SELECT user_id, '00000000-0000-7000-8000-0000000000ff', kind, amount_minor, currency, idempotency_key,
           fingerprint, created_at
      FROM transfers WHERE idempotency_key = 'c1'
)
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, '00000000-0000-7000-8000-0000000000ff', leg, account, amount_minor, currency
  FROM ledger_entries WHERE transfer_id = '00000000-0000-7000-8000-0000000000d1';

-- name: schedule_exists__reservation
-- A reservation of no schedule.
UPDATE reservations SET schedule_id = gen_random_uuid() WHERE idempotency_key = 'k5';

-- name: schedule_exists__ticket
-- Tickets of no schedule.
UPDATE tickets SET schedule_id = gen_random_uuid() WHERE seat_id = 'S01';

-- name: schedule_exists__everything
-- The schedule itself is gone.
SET LOCAL session_replication_role = replica;
DELETE FROM schedules;
SET LOCAL session_replication_role = origin;

-- name: owner_exists__nobody
-- A reservation without a user.
UPDATE reservations SET user_id = gen_random_uuid() WHERE idempotency_key = 'k5';

-- name: guarding_indexes_are_in_place__dropped
-- The index against overselling is gone.
DROP INDEX tickets_one_live_per_seat;

-- name: guarding_indexes_are_in_place__not_unique
-- It is there by name, and refuses nothing.
DROP INDEX tickets_one_live_per_seat;
CREATE INDEX tickets_one_live_per_seat ON tickets (schedule_id, seat_id) WHERE status <> 'VOID';

-- name: guarding_indexes_are_in_place__narrower
-- It is there by name and unique, over fewer tickets.
DROP INDEX tickets_one_live_per_seat;
CREATE UNIQUE INDEX tickets_one_live_per_seat ON tickets (schedule_id, seat_id) WHERE status = 'LOST';

-- name: guarding_indexes_are_in_place__wider
-- It is there by name and unique, over more columns.
DROP INDEX tickets_one_live_per_seat;
CREATE UNIQUE INDEX tickets_one_live_per_seat ON tickets (schedule_id, seat_id, user_id)
    WHERE status <> 'VOID';

-- name: guarding_indexes_are_in_place__invalid
-- It is there and not valid, as after a failed concurrent build.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tickets_one_live_per_seat'::regclass;

-- name: guarding_indexes_are_in_place__seats_key
-- The key of the seats is gone.
ALTER TABLE seats DROP CONSTRAINT seats_pkey;

-- name: guarding_constraints_are_in_place__dropped
-- Wallets may go below zero.
ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative;

-- name: guarding_constraints_are_in_place__weakened
-- The constraint is there by name, with another rule.
ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative;
ALTER TABLE wallets ADD CONSTRAINT wallets_never_negative CHECK (balance_minor >= -1000);

-- name: guarding_constraints_are_in_place__not_valid
-- The constraint was never checked against the rows that are there.
ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative;
ALTER TABLE wallets ADD CONSTRAINT wallets_never_negative CHECK (balance_minor >= 0) NOT VALID;

-- name: guarding_triggers_are_enabled__disabled
-- The ledger is not summed up.
ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_balanced;

-- name: guarding_triggers_are_enabled__dropped
-- The ledger can be rewritten.
DROP TRIGGER transfers_append_only ON transfers;

-- name: guarding_triggers_are_enabled__logbook
-- What organizers did can be unwritten.
ALTER TABLE logbook DISABLE TRIGGER logbook_append_only;

-- name: guarding_triggers_are_enabled__numbers
-- Orders are confirmed without a number.
ALTER TABLE reservations DISABLE TRIGGER reservations_order_number;

-- name: guarding_triggers_are_enabled__other_function
-- The trigger is there by name and does nothing.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
DROP TRIGGER transfers_append_only ON transfers;
CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION nothing();

-- name: sessions_are_durable__triggers_off
-- The session runs without triggers and foreign keys.
SET LOCAL session_replication_role = replica;

-- name: sessions_are_durable__server_without_fsync
-- The server does not flush at all; a setting that only its file can change, so the answer is forged.
CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE name WHEN 'fsync' THEN 'off' ELSE pg_catalog.current_setting(name) END
$$;
SET LOCAL search_path = public, pg_catalog;

-- name: sessions_are_durable__torn_pages
-- A page that was half written at a power failure cannot be restored.
CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE name WHEN 'full_page_writes' THEN 'off' ELSE pg_catalog.current_setting(name) END
$$;
SET LOCAL search_path = public, pg_catalog;

-- name: sessions_are_durable__not_flushed
-- A commit does not wait for the disk.
SET LOCAL synchronous_commit = off;

-- name: queue_numbers_in_bounds__not_reserved
-- A user was admitted with a number that was not reserved.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
VALUES (gen_random_uuid(), 1, gen_random_uuid(), 1, 1, now(), now() + interval '1 hour', 1, 1);

-- name: queue_numbers_in_bounds__twice
-- Two people were let in with one number.
ALTER TABLE queue_admissions DROP CONSTRAINT queue_admissions_pkey;
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed, numbers_to)
SELECT schedule_id, 'fifo', 1, 9, 9, 9, now(), decode(repeat('00', 32), 'hex'), 9 FROM schedules LIMIT 1;
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT r.schedule_id, 1, gen_random_uuid(), 1, 1, now(), now() + interval '1 hour', 1, 9
  FROM queue_rooms r, generate_series(1, 2);

-- name: queue_order_kept__not_called
-- A user was admitted before the call.
ALTER TABLE queue_admissions DROP CONSTRAINT queue_admissions_in_turn;
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
VALUES (gen_random_uuid(), 5, gen_random_uuid(), 5, 4, now(), now() + interval '1 hour', 1, 1);

-- name: queue_order_kept__not_the_number
-- A user had another place than the number says.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
VALUES (gen_random_uuid(), 5, gen_random_uuid(), 2, 4, now(), now() + interval '1 hour', 1, 1);

-- name: queue_person_inside_once__again
-- A user was admitted again before the exit.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT '00000000-0000-4000-8000-000000000001', n, '00000000-0000-4000-8000-000000000002', n, 9,
       now() + n * interval '1 minute', now() + interval '1 hour', 1, 9
  FROM generate_series(1, 2) n;

-- name: queue_cap_kept__one_too_many
-- Three are inside where two may be.
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
SELECT '00000000-0000-4000-8000-000000000001', n, gen_random_uuid(), n, 9,
       now() + n * interval '1 minute', now() + interval '1 hour', 2, 2
  FROM generate_series(1, 3) n;

-- name: one_schedule_per_instant__twice
-- Two performances of one concert at one instant.
DROP INDEX schedules_one_per_instant;
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit)
SELECT gen_random_uuid(), concert_id, starts_at, sale_opens_at, currency, hold_ttl_s, ticket_limit
  FROM schedules;

-- name: one_schedule_per_instant__opens_too_late
-- A sale that opens when the performance begins.
ALTER TABLE schedules DROP CONSTRAINT schedules_opens_before_start;
UPDATE schedules SET sale_opens_at = starts_at;

-- name: hold_within_its_sale__has_begun
-- A performance that had begun before its seats were held.
UPDATE schedules SET starts_at = clock_timestamp() - interval '1 hour';

-- name: hold_within_its_sale__over
-- A sale that had closed by its time before.
UPDATE schedules SET sale_closes_at = clock_timestamp() - interval '1 hour';

-- name: hold_within_its_sale__closed
-- A sale that its organizer had closed before.
UPDATE schedules SET status = 'CLOSED';
INSERT INTO logbook (organizer_id, written_at, actor_id, action, schedule_id, request_id, details)
SELECT c.organizer_id, clock_timestamp() - interval '10 minutes', c.organizer_id, 'schedule.closed',
       s.schedule_id, '', '{}'
  FROM schedules s JOIN concerts c ON c.concert_id = s.concert_id;

-- name: queue_hold_within_stay__after_leaving
-- A user held seats an hour after the exit, with the old pass.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed, numbers_to)
SELECT schedule_id, 'fifo', 1, 1, 600, 600, clock_timestamp(), repeat('s', 32)::bytea, 10 FROM schedules;
INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max,
                              ended_at, ended_by)
SELECT schedule_id, 1, '00000000-0000-7000-8000-000000000001', 1, 1, clock_timestamp() - interval '2 hours',
       clock_timestamp() + interval '1 hour', 1, 1, clock_timestamp() - interval '1 hour', 'left'
  FROM queue_rooms;

-- name: seats_look_different__form
-- One place twice, composed and not.
UPDATE seats SET section = '가', row_label = '1', number = 77 WHERE seat_id = 'S11';
UPDATE seats SET section = U&'\1100\1161', row_label = '1', number = 77 WHERE seat_id = 'S12';

-- name: seats_look_different__width_and_case
-- One place twice, in letters of two widths and cases.
UPDATE seats SET section = 'A', row_label = U&'\FF42', number = 77 WHERE seat_id = 'S11';
UPDATE seats SET section = U&'\FF21', row_label = 'B', number = 77 WHERE seat_id = 'S12';

-- name: taken_down_is_not_on_sale__open
-- A concert was taken down and goes on selling.
UPDATE concerts SET taken_down_at = now(), taken_down_reason = 'Because';

-- name: user_counts_agree__sold
-- A seat too many counted as sold.
UPDATE schedule_buyers SET sold_seats = sold_seats + 1;

-- name: user_counts_agree__open
-- A hold missing in its buyer's row.
UPDATE schedule_buyers SET open_ids = '{}';

-- name: user_counts_agree__closed
-- An end that was not counted, and one that is lost.
UPDATE schedule_buyers SET lapsed = lapsed + 1, released = greatest(released - 1, 0);

-- name: user_with_history_is_counted__lost
-- A row that is gone.
DELETE FROM schedule_buyers;

-- name: archived_once_and_for_good__also_live
-- A reservation in both places.
INSERT INTO reservations_archive (schedule_id, reservation_id, user_id, created_at, expires_at, closed_at,
    archived_at, amount_minor, closed_by, status, currency, seat_ids, idempotency_key, fingerprint)
SELECT schedule_id, reservation_id, user_id, created_at, expires_at, closed_at, clock_timestamp(), amount_minor,
       closed_by, status, currency, seat_ids, idempotency_key, fingerprint
  FROM reservations WHERE idempotency_key = 'k5';

-- name: archived_once_and_for_good__paid
-- A paid reservation in the archive, with all that names it left behind.
ALTER TABLE reservations_archive DROP CONSTRAINT reservations_archive_is_over;
WITH moved AS (DELETE FROM reservations WHERE idempotency_key = 'k1' RETURNING *)
INSERT INTO reservations_archive (schedule_id, reservation_id, user_id, created_at, expires_at, closed_at,
    archived_at, amount_minor, closed_by, status, currency, seat_ids, idempotency_key, fingerprint)
SELECT schedule_id, reservation_id, user_id, created_at, expires_at, closed_at, clock_timestamp(), amount_minor,
       closed_by, status, currency, seat_ids, idempotency_key, fingerprint
  FROM moved;

-- name: closed_reservation_will_be_archived__not_listed
-- What ended is on no list.
DELETE FROM closed_reservations;

-- name: closed_reservation_will_be_archived__passed_over
-- The archive has passed, and something is left.
INSERT INTO archive_progress (kind, passed_at, closed_before)
VALUES ('reservations', clock_timestamp(), clock_timestamp() + interval '1 minute');

-- name: one_live_reservation_per_seat__refunded_once
-- A second hold lists a seat of which another ticket of the same reservation is void.
UPDATE reservations SET seat_ids = ARRAY['S16'] WHERE idempotency_key = 'k2';

-- name: states_are_known__refunded_open
-- A refunded reservation that never ended.
ALTER TABLE reservations DROP CONSTRAINT reservations_closed_at_agrees;
UPDATE reservations SET closed_at = NULL WHERE status = 'REFUNDED';

-- name: sold_seat_has_its_sale__refunded
-- A sold seat of a reservation that was refunded.
UPDATE reservations SET status = 'REFUNDED' WHERE idempotency_key = 'ka';

-- name: live_reservation_owns_its_seats__freed
-- A seat that is on sale though its ticket is valid.
UPDATE seats SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL WHERE seat_id = 'S16';

-- name: confirmed_reservation_has_its_tickets__none_left
-- A reservation whose tickets are all void, and which goes on.
UPDATE reservations SET status = 'CONFIRMED' WHERE idempotency_key = 'kb';

-- name: confirmed_reservation_has_its_tickets__one_left
-- A refunded reservation with a valid ticket.
UPDATE reservations SET status = 'REFUNDED' WHERE idempotency_key = 'ka';

-- name: payment_transfer_has_its_payment__refund
-- A refund of a payment that does not exist.
DELETE FROM payments WHERE idempotency_key = 'pb';

-- name: transfer_moves_between_its_accounts__refund
-- A refund that was paid out of the income instead of what was owed.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET account = 'income'
 WHERE transfer_id = '00000000-0000-7000-8000-000000000084' AND leg = 1;

-- name: transfer_moves_between_its_accounts__fee
-- A fee that went into the wallet.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET account = 'wallet'
 WHERE transfer_id = '00000000-0000-7000-8000-000000000081' AND leg = 3;

-- name: availability_recounts__refund
-- A seat whose ticket is void and which is blocked for ever.
UPDATE seats SET state = 'BLOCKED' WHERE seat_id = 'S18';
UPDATE tickets SET status = 'VALID' WHERE seat_id = 'S15';

-- name: ticket_limit_is_kept__live_tickets
-- More live tickets than allowed.
UPDATE schedules SET ticket_limit = 1;

-- name: user_counts_agree__refund
-- A refund that was not counted.
UPDATE schedule_buyers SET sold_seats = sold_seats + 1
 WHERE user_id = '00000000-0000-7000-8000-000000000003';

-- name: event_has_its_cause__refund
-- An event of a refund that was not made.
UPDATE refunds SET amount_minor = amount_minor - 1, fee_minor = fee_minor + 1
 WHERE refund_id = '00000000-0000-7000-8000-000000000091';

-- name: event_has_its_cause__refund_pending
-- A refund is told to have succeeded, and has not.
UPDATE refunds SET status = 'PENDING', closed_at = NULL WHERE refund_id = '00000000-0000-7000-8000-000000000091';

-- name: void_ticket_has_its_refund__no_refund
-- A ticket that is void for no reason.
UPDATE tickets SET status = 'VOID' WHERE seat_id = 'S16';

-- name: void_ticket_has_its_refund__still_valid
-- A ticket that was refunded and opens the door.
UPDATE tickets SET status = 'VALID' WHERE seat_id = 'S15';

-- name: void_ticket_has_its_refund__twice
-- A ticket that was refunded twice.
INSERT INTO refunds
SELECT (jsonb_populate_record(f, jsonb_build_object('refund_id', gen_random_uuid(), 'idempotency_key', 'again'))).*
  FROM refunds f WHERE f.refund_id = '00000000-0000-7000-8000-000000000092';

-- name: void_ticket_has_its_refund__anothers
-- A refund of a ticket of another payment.
UPDATE refunds SET payment_id = '00000000-0000-7000-8000-0000000000ec'
 WHERE refund_id = '00000000-0000-7000-8000-000000000091';

-- name: void_ticket_has_its_refund__unknown
-- A refund of a ticket that does not exist.
UPDATE refunds SET ticket_ids = ARRAY[gen_random_uuid()] WHERE refund_id = '00000000-0000-7000-8000-000000000092';

-- name: refund_is_the_price__more
-- More is returned than was paid.
UPDATE refunds SET amount_minor = amount_minor + 1 WHERE refund_id = '00000000-0000-7000-8000-000000000092';

-- name: refund_is_the_price__currency
-- A refund in another currency.
UPDATE refunds SET currency = 'USD' WHERE refund_id = '00000000-0000-7000-8000-000000000092';

-- name: refund_has_its_entries__fee
-- A fee that is kept and not booked.
UPDATE refunds SET amount_minor = amount_minor - 1, fee_minor = fee_minor + 1
 WHERE refund_id = '00000000-0000-7000-8000-000000000092';

-- name: refund_has_its_entries__compensation
-- A compensation that was promised and not booked.
UPDATE refunds SET compensation_minor = 100 WHERE refund_id = '00000000-0000-7000-8000-000000000092';

-- name: refund_has_its_entries__late
-- Late money that is owed and not booked.
INSERT INTO refunds (user_id, refund_id, intent_id, amount_minor, created_at, changed_at, closed_at, status, reason,
                     destination, currency, is_whole, idempotency_key, fingerprint)
SELECT user_id, gen_random_uuid(), gen_random_uuid(), 500, now(), now(), now(), 'DONE', 'late', 'wallet', 'KRW',
       true, 'late', '\x'
  FROM refunds LIMIT 1;

-- name: refunds_due_is_owed__forgotten
-- Money that is owed, and no refund says so.
UPDATE refunds SET status = 'DONE', closed_at = now() WHERE status = 'MANUAL';

-- name: refunds_due_is_owed__paid
-- A refund under way whose money has left.
UPDATE refunds SET status = 'MANUAL', closed_at = NULL WHERE refund_id = '00000000-0000-7000-8000-000000000091';

-- name: refund_under_way_has_work__none
-- A refund that no cashier will ever pay.
UPDATE refunds SET status = 'PENDING' WHERE status = 'MANUAL';

-- name: refund_under_way_has_work__done
-- Work about a refund that was paid.
INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
SELECT 'refund', refund_id, user_id, now() FROM refunds WHERE refund_id = '00000000-0000-7000-8000-000000000091';

-- name: suspense_is_settled__money
-- A captured payment that was neither sold nor returned.
WITH transfer AS (
    INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, provider, created_at)
    SELECT user_id, '00000000-0000-7000-8000-000000000070', 'capture', 500, currency, 'toss', now()
      FROM wallets WHERE user_id = '00000000-0000-7000-8000-000000000002'
)
INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
SELECT user_id, '00000000-0000-7000-8000-000000000070', l.leg, l.account, l.minor, currency
  FROM wallets CROSS JOIN (VALUES (1, 'cash', -500), (2, 'suspense', 500)) l (leg, account, minor)
 WHERE user_id = '00000000-0000-7000-8000-000000000002';

-- name: suspense_is_settled__intent
-- An intent that captured late, and no money.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at, purpose,
                             provider, currency, status, idempotency_key, fingerprint)
SELECT user_id, user_id, 500, now(), now(), now(), 'top_up', 'toss', 'KRW', 'CAPTURED_LATE', 'i', '\x00'
  FROM users WHERE user_id = '00000000-0000-7000-8000-000000000002';

-- name: cash_is_the_providers__lost
-- A movement at the provider that is not in the ledger.
ALTER TABLE provider_transactions DISABLE TRIGGER USER;
UPDATE provider_transactions SET amount_minor = amount_minor - 1 WHERE kind = 'refund';

-- name: cash_is_the_providers__direction
-- A refund that is booked as a capture.
ALTER TABLE provider_transactions DISABLE TRIGGER USER;
UPDATE provider_transactions SET kind = 'capture';

-- name: provider_transaction_has_its_transfer__missing
-- A transfer through a provider without a transaction.
ALTER TABLE provider_transactions DISABLE TRIGGER USER;
DELETE FROM provider_transactions;

-- name: provider_transaction_has_its_transfer__kind
-- A dispute that is booked as a refund.
ALTER TABLE provider_transactions DISABLE TRIGGER USER;
UPDATE provider_transactions SET kind = 'dispute';

-- name: provider_transaction_has_its_transfer__provider
-- A transaction of another provider.
ALTER TABLE provider_transactions DISABLE TRIGGER USER;
UPDATE provider_transactions SET provider = 'stripe';

-- name: intent_has_its_end__no_payment
-- An intent that succeeded, and nothing was sold.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, payment_id, amount_minor, created_at,
                             changed_at, session_ends_at, hold_ends_at, closed_at, purpose, provider, currency, status,
                             idempotency_key, fingerprint)
SELECT user_id, user_id, schedule_id, reservation_id, gen_random_uuid(), amount_minor, now(), now(), now(), now(),
       now(),
       'reservation', 'toss', currency, 'SUCCEEDED', 'i', '\x00'
  FROM payments WHERE idempotency_key = '00000000-0000-7000-8000-00000000001a';

-- name: intent_has_its_end__amount
-- An intent of another amount than was paid.
INSERT INTO payment_intents (user_id, intent_id, schedule_id, reservation_id, payment_id, amount_minor, created_at,
                             changed_at, session_ends_at, hold_ends_at, closed_at, purpose, provider, currency, status,
                             idempotency_key, fingerprint)
SELECT user_id, user_id, schedule_id, reservation_id, payment_id, amount_minor + 1, now(), now(), now(), now(), now(),
       'reservation', 'toss', currency, 'SUCCEEDED', 'i', '\x00'
  FROM payments WHERE idempotency_key = '00000000-0000-7000-8000-00000000001a';

-- name: intent_has_its_end__no_refund
-- Money that is being returned, and no refund.
INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at, purpose,
                             provider, currency, status, idempotency_key, fingerprint)
SELECT user_id, user_id, 500, now(), now(), now(), 'top_up', 'toss', 'KRW', 'RETURNING', 'i', '\x00'
  FROM users WHERE user_id = '00000000-0000-7000-8000-000000000002';

-- name: disputes_are_what_is_withdrawn__not_booked
-- Money that a provider withdrew, and the ledger does not know.
INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, amount_minor, withdrawn_minor,
                      opened_at, changed_at, currency, payment_key, reason)
SELECT 'toss', 'd', gen_random_uuid(), user_id, schedule_id, payment_id, 500, 500, now(), now(), currency, 'pk-a', 'fraud'
  FROM payments WHERE idempotency_key = '00000000-0000-7000-8000-00000000001a';

-- name: policy_of_a_payment_exists__missing
-- A payment under a policy that does not exist.
UPDATE payments SET refund_policy_version = 1 WHERE idempotency_key = 'p1';

-- name: policy_of_a_payment_exists__later
-- A payment under a policy that was made after it.
INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
SELECT schedule_id, 1, now() + interval '1 hour', schedule_id, '{}' FROM schedules;
UPDATE payments SET refund_policy_version = 1 WHERE idempotency_key = 'p1';

-- name: event_has_its_cause__dispute
-- A dispute is told to have ended, and has not.
UPDATE disputes SET status = 'OPEN', closed_at = NULL WHERE dispute_key = 'dp-9';

-- name: disputes_are_what_is_withdrawn__lost_twice
-- A dispute whose money is both lost and held.
UPDATE disputes SET withdrawn_minor = amount_minor WHERE dispute_key = 'dp-9';

-- name: transfer_moves_between_its_accounts__dispute
-- A lost dispute that was paid out of fees.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET account = 'fees' WHERE transfer_id = '00000000-0000-7000-8000-000000000063' AND leg = 2;

-- name: event_has_its_cause__late
-- Late money is told of, and is not owed.
UPDATE refunds SET amount_minor = amount_minor - 1 WHERE reason = 'late';

-- name: reservation_amount_is_the_price__later_price
-- A hold of two days ago at the price that its seat has had since today.
UPDATE reservations SET amount_minor = 10 WHERE idempotency_key = 'k4';

-- name: refund_is_the_price__neither_price
-- A refund of a seat whose price changed, with neither price.
UPDATE refunds SET amount_minor = 5 WHERE seat_ids = '{S17}' AND reason = 'buyer';

-- name: reservation_amount_is_the_price__of_offers
-- A reservation costs more than the prices that its offers made.
UPDATE reservation_offers SET discounts_minor = ARRAY[0]
 WHERE reservation_id = '00000000-0000-7000-8000-0000000000be';

-- name: offer_lines_fit_the_reservation__count
-- Prices for more seats than the reservation has.
UPDATE reservation_offers
   SET price_types = ARRAY['', ''], prices_minor = ARRAY[500, 0], discounts_minor = ARRAY[50, 0],
       fees_minor = ARRAY[50, 0]
 WHERE reservation_id = '00000000-0000-7000-8000-0000000000be';

-- name: offer_lines_fit_the_reservation__discount
-- A discount that exceeds its price.
UPDATE reservation_offers SET prices_minor = ARRAY[0], discounts_minor = ARRAY[50], fees_minor = ARRAY[550]
 WHERE reservation_id = '00000000-0000-7000-8000-0000000000be';

-- name: code_is_used_within_its_limit__uncounted
-- A use that the code does not count.
UPDATE offer_codes SET taken = 0;

-- name: code_is_used_within_its_limit__twice
-- Two reservations with a code of one use.
ALTER TABLE offer_codes DROP CONSTRAINT offer_codes_uses_kept;
UPDATE offer_codes SET uses_max = 1, taken = 9;
UPDATE reservation_offers SET code_hash = '\xc0de', batch_id = '00000000-0000-7000-8000-0000000000cb';

-- name: channel_sells_within_its_quota__uncounted
-- Seats that the channel does not count.
UPDATE sales_channels SET taken = 1;

-- name: channel_sells_within_its_quota__more
-- More seats than the quota.
ALTER TABLE sales_channels DROP CONSTRAINT sales_channels_quota_kept;
UPDATE sales_channels SET quota = 1;

-- name: blocked_seat_has_no_ticket__sold
-- A sold seat that was blocked.
UPDATE seats SET state = 'BLOCKED', reservation_id = NULL, user_id = NULL WHERE seat_id = 'S01';

-- name: blocked_seat_has_no_ticket__record
-- A record of a block, and the seat is free.
INSERT INTO seat_blocks (schedule_id, seat_id, blocked_at, blocked_by, reason, note)
SELECT schedule_id, 'S12', now(), schedule_id, 'house', '' FROM schedules;

-- name: issue_has_its_tickets__buyer
-- Complimentary tickets of a buyer.
UPDATE reservations SET user_id = '00000000-0000-7000-8000-000000000002' WHERE idempotency_key = 'i1';

-- name: issue_has_its_tickets__other_tickets
-- An issue that lists no ticket.
UPDATE ticket_issues SET ticket_ids = '{}' WHERE name = 'Guest';

-- name: issue_has_its_tickets__kind
-- A paid sale that is recorded as a gift.
UPDATE ticket_issues SET kind = 'COMPLIMENTARY', name = 'X' WHERE kind = 'BOX_OFFICE';

-- name: issue_has_its_tickets__no_record
-- Money in the till, and no record of the sale.
DELETE FROM ticket_issues WHERE kind = 'BOX_OFFICE';

-- name: confirmed_reservation_is_paid_once__no_record
-- A gift without a record.
DELETE FROM ticket_issues WHERE name = 'Guest';

-- name: live_ticket_has_its_sale__no_record
-- Tickets without a payment and without a record.
DELETE FROM ticket_issues WHERE name = 'Guest';

-- name: reservation_amount_is_the_price__gift
-- A gift that costs something.
UPDATE reservations SET amount_minor = 7 WHERE idempotency_key = 'i1';

-- name: void_ticket_has_its_refund__gift
-- A void issue with a live ticket.
UPDATE ticket_issues SET voided_at = now(), voided_by = issued_by WHERE name = 'Guest';

-- name: transfer_moves_between_its_accounts__till
-- A sale in cash that is in the account of the card terminal.
ALTER TABLE ledger_entries DISABLE TRIGGER USER;
UPDATE ledger_entries SET account = 'terminal' WHERE account = 'till';

-- name: confirmed_reservation_has_one_order_number__none
-- A paid reservation without a number.
DELETE FROM order_numbers n USING reservations r
 WHERE r.schedule_id = n.schedule_id AND r.reservation_id = n.reservation_id AND r.status = 'CONFIRMED';

-- name: confirmed_reservation_has_one_order_number__two
-- A refunded reservation with two numbers.
ALTER TABLE order_numbers DROP CONSTRAINT order_numbers_pkey;
INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
SELECT r.schedule_id, r.reservation_id, '000000000' FROM reservations r WHERE r.status = 'REFUNDED' LIMIT 1;

-- name: order_number_has_one_order__two
-- Two reservations with the same number.
ALTER TABLE order_numbers DROP CONSTRAINT order_numbers_number_unique;
UPDATE order_numbers SET order_number = (SELECT min(order_number) FROM order_numbers);

-- name: order_number_has_one_order__hold
-- A number before the confirmation.
INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
SELECT r.schedule_id, r.reservation_id, '000000000' FROM reservations r WHERE r.status = 'HELD' LIMIT 1;

-- name: order_number_has_one_order__letters
-- A number with a letter that is mistaken for a digit.
ALTER TABLE order_numbers DROP CONSTRAINT order_numbers_number_known;
UPDATE order_numbers SET order_number = 'O' || substr(order_number, 2);

-- name: waiting_list_offer_has_its_hold__gone
-- An offer of a reservation that does not exist.
UPDATE waiting_list_entries SET reservation_id = gen_random_uuid() WHERE reservation_id IS NOT NULL;

-- name: waiting_list_offer_has_its_hold__anothers
-- An offer that another person holds.
UPDATE waiting_list_entries SET user_id = '00000000-0000-7000-8000-000000000001' WHERE reservation_id IS NOT NULL;

-- name: waiting_list_offer_has_its_hold__unpaid
-- An offer that was taken without a payment.
UPDATE waiting_list_entries SET status = 'TAKEN', ended_at = clock_timestamp() WHERE reservation_id IS NOT NULL;

-- name: waiting_list_offer_has_its_hold__fewer_seats
-- An offer of fewer seats than the entry wants.
UPDATE waiting_list_entries SET seats = 2 WHERE reservation_id IS NOT NULL;

-- name: hold_is_within_its_time__offer
-- An offer whose hold lasts longer than it says.
UPDATE waiting_list_entries SET offer_expires_at = offer_expires_at - interval '5 minutes'
 WHERE reservation_id IS NOT NULL;

-- name: waiting_list_is_served_in_order__overtaken
-- An entry that was served although an earlier one waited.
UPDATE waiting_list_entries SET place = 99 WHERE reservation_id IS NOT NULL;

-- name: waiting_list_entry_waits_in_its_line__place
-- A place that the line has not given.
UPDATE waiting_lists SET last_place = 1;

-- name: waiting_list_entry_waits_in_its_line__no_list
-- Entries without a list.
DELETE FROM waiting_lists;

-- name: waiting_list_entry_waits_in_its_line__no_turn
-- A list for which returning seats do not wait.
DELETE FROM waiting_list_entries;
UPDATE schedules SET waiting_list_turn_s = 0;
