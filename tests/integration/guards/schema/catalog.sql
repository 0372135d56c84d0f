-- name: guards
-- Every guard in the schema with the statement that takes it away: constraints but NOT NULL, unique indexes
-- that are no constraint's, and triggers that refuse.
SELECT c.conname::text AS name,
       format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', c.conrelid::regclass, c.conname) AS removal
  FROM pg_constraint c
 WHERE c.connamespace = current_schema()::regnamespace AND c.contype <> 'n'
 UNION ALL
SELECT x.relname::text, format('DROP INDEX %I', x.relname)
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
 WHERE i.indisunique AND x.relnamespace = current_schema()::regnamespace
   AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
 UNION ALL
SELECT t.tgname::text, format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
  FROM pg_trigger t
  JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE NOT t.tgisinternal AND p.prosrc LIKE '%RAISE%'
 ORDER BY name;

-- name: nullable
-- The columns that may be null.
SELECT a.attrelid::regclass || '.' || a.attname AS name
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull
 ORDER BY name;

-- name: never_null
-- The columns that may not be null, and the statement that lets them.
SELECT a.attrelid::regclass || '.' || a.attname AS name,
       format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', a.attrelid::regclass, a.attname) AS removal
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND a.attidentity = ''
   AND NOT EXISTS (SELECT FROM pg_constraint k
                    WHERE k.conrelid = a.attrelid AND k.contype = 'p' AND a.attnum = ANY (k.conkey))
 ORDER BY name;
