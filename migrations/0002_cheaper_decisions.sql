-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Replaced before the first release: no pod of a release calls them.
DROP FUNCTION IF EXISTS reservations_hold_v1(
    uuid, text[], uuid[], uuid[], integer[], integer[], integer[], text[], bytea[]);
DROP FUNCTION IF EXISTS reservations_release_v1(uuid, uuid[], uuid[], uuid[]);
DROP FUNCTION IF EXISTS payments_pay_v1(
    uuid, uuid[], uuid[], uuid[], uuid[], text[], text[], bigint[], text[], bytea[]);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
