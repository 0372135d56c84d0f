-- name: numbered
-- A statement, in the place of `SELECT NULL`, that does not run where its number $1 was given up. The
-- condition depends on no row, so it is evaluated once and before the statement.
SELECT s.*
  FROM (SELECT NULL) s
 -- guard: statement_is_begun_by_its_number => WHERE $1::bigint IS NOT NULL
 WHERE (SELECT statements_begin_v1($1));

-- name: permitted
-- A statement, in the place of `SELECT NULL`, that returns nothing and does not run where one of its numbers
-- $1 was given up. The condition depends on no row, so it is evaluated once and before the statement.
SELECT s.*
  FROM (SELECT NULL) s
 -- guard: handed_over_batch_is_begun_by_its_numbers => WHERE $1::bigint[] IS NOT NULL
 WHERE (SELECT statements_permitted_v1($1));

-- name: give_up
-- Give up statements by their numbers.
SELECT statements_give_up_v1($1);

-- name: forbid
-- Give up statements by their numbers, among them some that another process sends. It may send them after a
-- crash of the server or a failover, so that, unlike that of `give_up`, this commit is on disk and standby.
SELECT statements_give_up_v1($1),
       -- guard: number_of_another_process_is_given_up_for_good: 'on' => 'off'
       set_config('synchronous_commit', 'on', true);

-- name: own_statement
-- Under which names the server has prepared this very text, of which the word boxoffice_probe is a part.
SELECT p.name, pg_backend_pid() AS pid
  FROM pg_prepared_statements p
 -- no guard: Other statements have other names, which are not this one's either.
 WHERE position('boxoffice_probe' IN p.statement) > 0;

-- name: backend
-- The process id of the backend.
SELECT pg_backend_pid();
