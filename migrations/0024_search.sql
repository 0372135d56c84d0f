-- pg_trgm is a trusted extension: the owner of the database creates it without being a superuser. The index of
-- `users` is built while sign-ups wait for it, about ten seconds for a million accounts; sales read accounts only.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '1800s';

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Search -----------------------------------------------------------------------------------------------
-- Name and address as words that can be searched: small letters without accents, Hangul in its letters (NFD), so
-- that a half-typed syllable is a prefix; what separates the words of an address is a blank, and one is before
-- the first word. The same as `words` in `backoffice/search/rules.py`, which a test compares.

CREATE FUNCTION search_text(p_name text, p_email text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ' ' || translate(
    normalize(lower(p_name || ' ' || coalesce(p_email, '')), NFD),
    '.@_+-/,()' || U&'\0300\0301\0302\0303\0304\0306\0307\0308\030A\030B\030C\031B\0323\0327\0328',
    '         ');

-- Without the list of pending entries, which each search would read: an account is searched more often than made.
CREATE INDEX users_by_text ON users USING gin (search_text(name, email) gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX ticket_issues_by_text ON ticket_issues
    USING gin (search_text(name, email) gin_trgm_ops) WITH (fastupdate = off);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
