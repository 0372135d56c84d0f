-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: sessions
-- The log-ins of a person whose tokens are still valid, the newest $2.
SELECT s.session_id, s.started_at, s.expires_at, s.browser, s.system, s.token_id
  FROM account_sessions s
  -- guard: sessions_version_of_the_person: v.user_id = s.user_id => false
  LEFT JOIN token_versions v ON v.user_id = s.user_id
 -- guard: sessions_of_the_person: s.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: sessions_that_have_not_expired: AND s.expires_at > clock_timestamp() =>
 WHERE s.user_id = $1 AND s.expires_at > clock_timestamp()
   -- guard: sessions_without_those_of_older_versions
   AND s.version >= coalesce(v.version, 0)
   -- guard: sessions_without_revoked_ones
   AND NOT EXISTS (SELECT FROM ended_tokens e WHERE e.token_id = s.token_id)
 ORDER BY s.started_at DESC
 -- guard: sessions_shown_are_few: $2 => $2 + 1000
 LIMIT $2;

-- name: end_session
-- Revoke the token of a log-in, and return the token; no row for one that has expired or is another person's.
WITH session AS (
    SELECT s.token_id, s.expires_at
      FROM account_sessions s
     -- guard: session_of_the_person: s.user_id = $1 => $1::uuid IS NOT NULL
     -- guard: session_of_its_id: AND s.session_id = $2 => AND $2::uuid IS NOT NULL
     WHERE s.user_id = $1 AND s.session_id = $2
       -- no guard: What has expired is of no use; a repetition finds nothing to end then.
       AND s.expires_at > clock_timestamp()
), revoked AS (
    INSERT INTO ended_tokens (token_id, expires_at)
    SELECT s.token_id, s.expires_at FROM session s
    -- guard: session_ends_once
    ON CONFLICT DO NOTHING
)
SELECT s.token_id, extract(epoch FROM s.expires_at)::float8 AS expires_at FROM session s;
