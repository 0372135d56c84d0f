-- What mails say about invitations and applications. The messenger calls it while it sends.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Notes the hash of the token that a mail is about to contain, and returns what the mail says. A mail that is
-- sent twice has two tokens, and both are valid until one is used.
CREATE OR REPLACE FUNCTION organizations_send_invitation_v1(p_invitation_id uuid, p_token_hash bytea)
RETURNS TABLE (organization_name text, inviter_name text, email text, role text, language text, expires_at timestamptz)
LANGUAGE sql AS $$
    UPDATE organization_invitations i
       SET token_hashes = i.token_hashes || p_token_hash
      FROM organizations o, users u
     -- guard: send_this_invitation: i.invitation_id = p_invitation_id => p_invitation_id IS NOT NULL
     WHERE i.invitation_id = p_invitation_id
       -- guard: send_invitation_to_its_organization => AND true
       AND o.organization_id = i.organization_id
       -- guard: send_invitation_by_its_inviter => AND true
       AND u.user_id = i.invited_by
    RETURNING o.name, u.name, i.email, i.role, i.language, i.expires_at
$$;

-- What the mail about a decided application says.
CREATE OR REPLACE FUNCTION organizations_decision_v1(p_application_id uuid)
RETURNS TABLE (organization_name text, state text, reason text)
LANGUAGE sql STABLE AS $$
    SELECT a.organization_name, a.state, a.reason
      FROM organizer_applications a
     -- guard: decision_of_this_application => WHERE p_application_id IS NOT NULL
     WHERE a.application_id = p_application_id
$$;
