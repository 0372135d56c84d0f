-- Statements of `bench.parts`.

-- name: backend
-- The process that serves this connection.
SELECT pg_backend_pid() AS pid;

-- name: gen_random_uuid
-- $1 random identifiers.
SELECT count(gen_random_uuid()) FROM generate_series(1, $1::integer);

-- name: order_numbers_random
-- $1 random order numbers.
SELECT count(order_numbers_random()) FROM generate_series(1, $1::integer);
