-- Links in mail about accounts, and what they do. A link is open while it was not used, its time has not ended,
-- and the account has the password and the address that it had when the link was asked for.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.
--
-- Lock order: the link, the account, its token version.

-- Make a link of an account and queue its mail. p_email is the address that the mail goes to, and p_email_before
-- the present one where the link changes it.
CREATE OR REPLACE FUNCTION accounts_request_link_v1(
    p_link_id uuid,
    p_user_id uuid,
    p_purpose text,
    p_email text,
    p_email_before text,
    p_language text,
    p_ttl_s integer,
    p_retention_s double precision
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email, email_before, language)
    SELECT p_link_id, u.user_id, p_ttl_s, u.credentials_version, p_purpose, p_email, p_email_before, p_language
      FROM users u
     -- guard: link_of_this_account: u.user_id = p_user_id => p_user_id IS NOT NULL
     WHERE u.user_id = p_user_id;
    PERFORM notifications_queue_link_v1(p_purpose, p_user_id, p_link_id, true);
    PERFORM accounts_forget_links_v1(p_retention_s);
END;
$$;

-- Make a link that resets the password of the account with an address, and queue its mail. Without an account the
-- same rows are written; the mail counts as failed at once, so that it is never sent.
CREATE OR REPLACE FUNCTION accounts_request_reset_v1(
    p_link_id uuid,
    p_email text,
    p_language text,
    p_ttl_s integer,
    p_retention_s double precision
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    person record;
    is_known boolean;
BEGIN
    SELECT u.user_id, u.credentials_version INTO person
      FROM users u
     -- guard: reset_of_account_with_address: u.email = p_email => p_email IS NOT NULL
     WHERE u.email = p_email
       -- guard: reset_of_no_house_account => ;
       AND NOT EXISTS (SELECT FROM house_accounts h WHERE h.user_id = u.user_id);
    is_known := FOUND;
    INSERT INTO account_links (link_id, user_id, ttl_s, credentials_version, purpose, email, language)
    VALUES (p_link_id, coalesce(person.user_id, p_link_id), p_ttl_s, coalesce(person.credentials_version, 0),
            'reset_password', p_email, p_language);
    -- guard: reset_unknown_address_is_sent_nothing: is_known => true
    PERFORM notifications_queue_link_v1('reset_password', coalesce(person.user_id, p_link_id), p_link_id, is_known);
    PERFORM accounts_forget_links_v1(p_retention_s);
END;
$$;

-- Delete some links that were asked for long ago; run with each new one.
CREATE OR REPLACE FUNCTION accounts_forget_links_v1(p_retention_s double precision) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM account_links
     -- no guard: Names the rows that the subquery chooses.
     WHERE link_id IN (
        SELECT l.link_id FROM account_links l
         -- guard: links_are_kept_for_a_while => WHERE true
         WHERE l.created_at < clock_timestamp() - make_interval(secs => p_retention_s)
         -- no guard: Bounds one call and avoids waiting for another pod.
         ORDER BY l.created_at LIMIT 100 FOR UPDATE SKIP LOCKED)
$$;

-- Note the hash of the token that a mail is about to contain, and return what the mail says; no row for a link
-- that is not open. Its time begins now. A mail that is sent twice has two tokens, until one is used.
CREATE OR REPLACE FUNCTION accounts_send_link_v1(p_link_id uuid, p_token_hash bytea)
RETURNS TABLE (purpose text, email text, language text, ttl_s integer)
LANGUAGE sql AS $$
    UPDATE account_links l
       SET token_hashes = l.token_hashes || p_token_hash,
           expires_at = clock_timestamp() + make_interval(secs => l.ttl_s)
      FROM users u
     -- guard: link_mail_of_link: l.link_id = p_link_id => p_link_id IS NOT NULL
     -- guard: link_mail_of_its_account: u.user_id = l.user_id => true
     WHERE l.link_id = p_link_id AND u.user_id = l.user_id
       -- guard: link_mail_of_unused_link
       AND l.used_at IS NULL
       -- guard: link_mail_of_present_credentials
       AND u.credentials_version = l.credentials_version
    RETURNING l.purpose, l.email, l.language, l.ttl_s
$$;

-- The address that an account had before link p_link_id changed it.
CREATE OR REPLACE FUNCTION accounts_address_before_v1(p_link_id uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT l.email_before
      FROM account_links l
     -- guard: address_before_of_link => WHERE p_link_id IS NOT NULL
     WHERE l.link_id = p_link_id
$$;

-- Lock an open link and its account, mark the link as used, and return it; no row where the token opens no link
-- of these purposes. Of two requests with one token the second waits, and finds the link used.
CREATE OR REPLACE FUNCTION accounts_open_link_v1(p_link_id uuid, p_token_hash bytea, p_purposes text[])
RETURNS TABLE (user_id uuid, purpose text, email text)
LANGUAGE plpgsql AS $$
DECLARE
    link account_links;
    credentials integer;
BEGIN
    SELECT * INTO link
      FROM account_links l
     -- guard: link_of_its_token: l.link_id = p_link_id AND => p_link_id IS NOT NULL AND
     -- guard: link_opens_with_its_token: p_token_hash = ANY (l.token_hashes) => p_token_hash IS NOT NULL
     WHERE l.link_id = p_link_id AND p_token_hash = ANY (l.token_hashes)
       -- guard: link_serves_its_purpose => AND p_purposes IS NOT NULL
       AND l.purpose = ANY (p_purposes)
       -- guard: link_is_locked => LIMIT 1;
       FOR UPDATE;
    -- guard: link_works_once: link.used_at IS NULL AND => true AND
    -- guard: link_ends_in_time: clock_timestamp() < link.expires_at => true
    IF link.used_at IS NULL AND clock_timestamp() < link.expires_at THEN
        SELECT u.credentials_version INTO credentials
          FROM users u
         -- no guard: The account of the link, by its primary key.
         WHERE u.user_id = link.user_id
           -- guard: link_locks_its_account => ;
           FOR NO KEY UPDATE;
        -- guard: link_is_void_after_a_change => IF credentials IS NOT NULL THEN
        IF credentials = link.credentials_version THEN
            -- no guard: The row that was locked above.
            UPDATE account_links l SET used_at = clock_timestamp() WHERE l.link_id = p_link_id;
            RETURN QUERY SELECT link.user_id, link.purpose, link.email;
        END IF;
    END IF;
END;
$$;

-- Set the password of an account whose hash is p_hash_before (null: any). Ends all sessions, voids all links and
-- queues a mail. Returns the version of the next tokens; null where the password was changed meanwhile.
CREATE OR REPLACE FUNCTION accounts_set_password_v1(p_user_id uuid, p_hash_before text, p_hash text)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    tokens integer;
BEGIN
    UPDATE users u
       SET password_hash = p_hash,
           -- guard: password_voids_links: u.credentials_version + 1 => u.credentials_version
           credentials_version = u.credentials_version + 1
     -- guard: password_of_this_account: u.user_id = p_user_id => p_user_id IS NOT NULL
     WHERE u.user_id = p_user_id
       -- guard: password_is_changed_from_the_present_one => AND p_hash IS NOT NULL;
       AND u.password_hash = coalesce(p_hash_before, u.password_hash);
    -- guard: password_changed_meanwhile_ends_no_session => IF true THEN
    IF FOUND THEN
        INSERT INTO token_versions AS v (user_id, version) VALUES (p_user_id, 1)
        -- guard: password_ends_sessions_again: v.version + 1 => v.version
        ON CONFLICT (user_id) DO UPDATE SET version = v.version + 1, changed_at = clock_timestamp()
        RETURNING v.version INTO tokens;
        PERFORM notifications_queue_link_v1('password_changed', p_user_id, gen_random_uuid(), true);
    END IF;
    RETURN tokens;
END;
$$;

-- Set the password of an account by a link, which proves the address as well. Returns the account and the version
-- of its next tokens; no row where the token opens no such link.
CREATE OR REPLACE FUNCTION accounts_reset_password_v1(p_link_id uuid, p_token_hash bytea, p_hash text)
RETURNS TABLE (user_id uuid, version integer)
LANGUAGE plpgsql AS $$
DECLARE
    link record;
BEGIN
    FOR link IN SELECT l.user_id FROM accounts_open_link_v1(p_link_id, p_token_hash, '{reset_password}') l
    LOOP
        UPDATE users u SET email_verified_at = coalesce(u.email_verified_at, clock_timestamp())
         -- guard: reset_verifies_this_account => WHERE link.user_id IS NOT NULL;
         WHERE u.user_id = link.user_id;
        RETURN QUERY SELECT link.user_id, accounts_set_password_v1(link.user_id, NULL, p_hash);
    END LOOP;
END;
$$;

-- Verify the address of an account by a link, or change it to the link's. A change voids all links and tells the
-- old address. `outcome`: verified, changed, or taken by another account, and then the link stays open; no row where
-- the token opens no such link.
CREATE OR REPLACE FUNCTION accounts_confirm_email_v1(p_link_id uuid, p_token_hash bytea)
RETURNS TABLE (user_id uuid, email text, outcome text)
LANGUAGE plpgsql AS $$
DECLARE
    link record;
    is_new boolean;
BEGIN
    FOR link IN SELECT l.* FROM accounts_open_link_v1(p_link_id, p_token_hash, '{verify_email,change_email}') l
    LOOP
        is_new := link.purpose = 'change_email';
        UPDATE users u
           SET email = link.email, email_verified_at = clock_timestamp(),
               -- guard: address_voids_links: u.credentials_version + is_new::integer => u.credentials_version
               credentials_version = u.credentials_version + is_new::integer
         -- guard: address_of_this_account => WHERE link.user_id IS NOT NULL;
         WHERE u.user_id = link.user_id;
        -- guard: address_before_is_told_of_a_change => IF true THEN
        IF is_new THEN
            PERFORM notifications_queue_link_v1('email_changed', link.user_id, p_link_id, true);
        END IF;
        -- no guard: A name for each outcome.
        RETURN QUERY SELECT link.user_id, link.email, CASE WHEN is_new THEN 'changed' ELSE 'verified' END::text;
    END LOOP;
EXCEPTION
    -- Not an error of the server, whose details would put the address into its log.
    -- guard: address_that_is_taken_is_no_error_of_server: unique_violation => division_by_zero
    WHEN unique_violation THEN
        RETURN QUERY SELECT p_link_id, ''::text, 'taken'::text;
END;
$$;

-- Revoke all access tokens of a restored database: log-outs of the time that it lost are forgotten, and their tokens
-- would be good again. Tokens of that time may have later versions than the database knows. Returns how many people.
CREATE OR REPLACE FUNCTION accounts_after_restore_v1() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    people bigint;
BEGIN
    INSERT INTO token_versions AS v (user_id, version)
    SELECT u.user_id, 1000 FROM users u
        -- guard: restored_versions_are_above_those_that_were_lost => ON CONFLICT (user_id) DO NOTHING;
        ON CONFLICT (user_id) DO UPDATE SET version = v.version + 1000, changed_at = clock_timestamp();
    -- no guard: A figure for people.
    GET DIAGNOSTICS people = ROW_COUNT;
    RETURN people;
END;
$$;
