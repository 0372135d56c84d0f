-- name: make_role
-- The statement that makes the role $1 where it is missing: a group that cannot log in.
SELECT format('CREATE ROLE %I NOLOGIN', $1::text) AS statement
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1);

-- name: let_log_in
-- The statement by which the role $1 logs in with the password $2.
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text) AS statement;

-- name: trusted_with
-- What the role $1 owns or may do beyond what is granted to it here: a reason not to serve as it.
SELECT r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolbypassrls
       OR pg_has_role(r.oid, (SELECT relowner FROM pg_class WHERE oid = 'schema_migrations'::regclass),
                      'MEMBER') AS is_powerful
  FROM pg_roles r
 WHERE r.rolname = $1;

-- name: grants
-- The statements that grant the role $1 rights on rows: it alters, drops and truncates no table, the
-- ledger, the providers' record, the activity log and the archive are append-only, accounts and sales are
-- never deleted, and it only reads the schema's own record. Later tables get the first line's rights with the
-- next migration.
WITH everything (place, statement) AS (
    VALUES
        (1, format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1::text)),
        (2, format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I',
                   current_schema(), $1::text)),
        (3, format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', current_schema(), $1::text)),
        (4, format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO %I', current_schema(), $1::text)),
        (5, format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON '
                   'TABLES TO %I', current_schema(), $1::text)),
        (6, format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I',
                   current_schema(), $1::text)),
        (7, format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT EXECUTE ON FUNCTIONS TO %I',
                   current_schema(), $1::text)),
        -- PostgreSQL 17 and later: a new hall is analysed by the process that adds it.
        (9, CASE WHEN current_setting('server_version_num')::int >= 170000
                 THEN format('GRANT MAINTAIN ON seats TO %I', $1::text) END),
        -- A temporary table could shadow a table of the schema. Only a warning where the owner of the
        -- tables does not own the database.
        (10, format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()))
), kept (rights, tables) AS (
    VALUES
        ('INSERT, UPDATE, DELETE', '{schema_migrations,schema_functions,restores}'::text[]),
        ('UPDATE, DELETE', '{ledger_entries,transfers,logbook,reservations_archive,queue_archive,'
                           'provider_calls,provider_answers,provider_transactions,refund_policies,'
                           'seat_price_changes,order_numbers}'::text[]),
        ('DELETE', '{users,organizations,brands,wallets,concerts,schedules,seats,tickets,payments,token_keys,leases,'
                   'payment_intents,provider_notices,refunds,disputes,ticket_issues,house_accounts,statement_lines,statement_findings,reservation_offers,'
                   'code_batches,offer_codes,schedule_offers}'::text[])
)
SELECT statement
  FROM (SELECT place, statement FROM everything
         UNION ALL
        SELECT 8, format('REVOKE %s ON %I FROM %I', k.rights, t.name, $1::text)
          FROM kept k, unnest(k.tables) t (name)
         WHERE to_regclass(t.name) IS NOT NULL) s
 WHERE statement IS NOT NULL
 ORDER BY place, statement;

-- name: watch
-- The statement by which the role $1 sees how far standbys are, and others' sessions.
SELECT format('GRANT pg_read_all_stats TO %I', $1::text) AS statement;
