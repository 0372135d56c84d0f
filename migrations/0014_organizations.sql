-- Organizations and their members are few, and the new indexes on concerts are made in a moment.
-- squawk-ignore-file require-concurrent-index-creation, ban-drop-constraint, adding-not-nullable-field
-- squawk-ignore-file constraint-missing-not-valid

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Organizations --------------------------------------------------------------------------------------
-- A concert belongs to an organization, and an organization has members with roles. What a role may do is a
-- table of the code (permissions.py). A person's first organization has the id of the person where an
-- operator's command gave the role organizer: pods of the previous release write the person's id where this
-- release reads the organization's, in concerts, logbook and webhook_endpoints.

CREATE TABLE organizations (
    organization_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    name text NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (organization_id),
    CONSTRAINT organizations_name_bounded CHECK (length(name) BETWEEN 1 AND 200)
);

CREATE TABLE organization_members (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role text NOT NULL,
    CONSTRAINT organization_members_pkey PRIMARY KEY (organization_id, user_id),
    CONSTRAINT organization_members_of_organization
        FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT organization_members_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT organization_members_role_known
        CHECK (role IN ('owner', 'manager', 'box_office', 'door', 'read_only'))
);

CREATE INDEX organization_members_by_user ON organization_members (user_id);

-- The role organizer of an account: who gets it has an organization, who loses it is a member of none. An
-- organization whose members have all lost theirs goes back to the person whose id it has.
CREATE FUNCTION users_role_organizer() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    own uuid := NEW.user_id;
BEGIN
    IF NEW.role <> 'organizer' THEN
        DELETE FROM organization_members m WHERE m.user_id = NEW.user_id;
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM organization_members m WHERE m.user_id = NEW.user_id) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM organization_members m WHERE m.organization_id = own) THEN
        own := gen_random_uuid();
    END IF;
    INSERT INTO organizations (organization_id, name) VALUES (own, left(NEW.name, 200))
    ON CONFLICT DO NOTHING;
    INSERT INTO organization_members (organization_id, user_id, role) VALUES (own, NEW.user_id, 'owner');
    RETURN NULL;
END;
$$;

CREATE TRIGGER users_become_organizer AFTER INSERT ON users
    FOR EACH ROW WHEN (NEW.role = 'organizer') EXECUTE FUNCTION users_role_organizer();
CREATE TRIGGER users_change_organizer AFTER UPDATE OF role ON users
    FOR EACH ROW WHEN (OLD.role <> NEW.role AND 'organizer' IN (OLD.role, NEW.role))
    EXECUTE FUNCTION users_role_organizer();

-- Every present organizer, and everybody who was one and has concerts.
INSERT INTO organizations (organization_id, name)
SELECT u.user_id, left(u.name, 200)
  FROM users u
 WHERE u.role = 'organizer'
    OR EXISTS (SELECT FROM concerts c WHERE c.organizer_id = u.user_id)
    OR EXISTS (SELECT FROM webhook_endpoints w WHERE w.organizer_id = u.user_id);
INSERT INTO organization_members (organization_id, user_id, role)
SELECT u.user_id, u.user_id, 'owner' FROM users u WHERE u.role = 'organizer';

-- Invitations ----------------------------------------------------------------------------------------
-- Of an address, once, for a few days. The link is in the mail only: `token_hashes` has the SHA-256 of the
-- token of each attempt to send it. An address has one open invitation per organization.

CREATE TABLE organization_invitations (
    invitation_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    invited_by uuid NOT NULL,
    accepted_by uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    email text NOT NULL,
    role text NOT NULL,
    language text NOT NULL,
    token_hashes bytea [] NOT NULL DEFAULT '{}',
    CONSTRAINT organization_invitations_pkey PRIMARY KEY (invitation_id),
    CONSTRAINT organization_invitations_of_organization
        FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT organization_invitations_of_inviter FOREIGN KEY (invited_by) REFERENCES users (user_id),
    CONSTRAINT organization_invitations_of_invitee FOREIGN KEY (accepted_by) REFERENCES users (user_id),
    CONSTRAINT organization_invitations_role_known
        CHECK (role IN ('owner', 'manager', 'box_office', 'door', 'read_only')),
    CONSTRAINT organization_invitations_language_known CHECK (language IN ('en', 'ko')),
    CONSTRAINT organization_invitations_email_lower CHECK (email = lower(email)),
    CONSTRAINT organization_invitations_end_agrees CHECK (
        (accepted_at IS NULL) = (accepted_by IS NULL) AND num_nonnulls(accepted_at, revoked_at) <= 1)
);

CREATE UNIQUE INDEX organization_invitations_one_open ON organization_invitations (organization_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX organization_invitations_by_age ON organization_invitations (organization_id, created_at);

-- Applications ---------------------------------------------------------------------------------------
-- Who wants to sell applies, and an operator decides. An approval creates the organization.

CREATE TABLE organizer_applications (
    application_id uuid NOT NULL,
    user_id uuid NOT NULL,
    decided_by uuid,
    organization_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at timestamptz,
    state text NOT NULL DEFAULT 'WAITING',
    organization_name text NOT NULL,
    contact text NOT NULL,
    note text NOT NULL,
    reason text NOT NULL DEFAULT '',
    CONSTRAINT organizer_applications_pkey PRIMARY KEY (application_id),
    CONSTRAINT organizer_applications_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT organizer_applications_of_organization
        FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT organizer_applications_state_known CHECK (state IN ('WAITING', 'APPROVED', 'REJECTED')),
    CONSTRAINT organizer_applications_decided_agrees CHECK (
        (state = 'WAITING') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)
        AND (state = 'APPROVED') = (organization_id IS NOT NULL))
);

CREATE UNIQUE INDEX organizer_applications_one_waiting ON organizer_applications (user_id)
    WHERE state = 'WAITING';
CREATE INDEX organizer_applications_by_state ON organizer_applications (state, application_id);

-- Concerts -------------------------------------------------------------------------------------------
-- `organizer_id` is the person who created the concert.

ALTER TABLE concerts ADD COLUMN organization_id uuid;
UPDATE concerts SET organization_id = organizer_id;

-- A pod of the previous release names no organization.
CREATE FUNCTION concerts_have_organization() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.organization_id := coalesce(NEW.organization_id, NEW.organizer_id);
    RETURN NEW;
END;
$$;

CREATE TRIGGER concerts_have_organization BEFORE INSERT ON concerts
    FOR EACH ROW EXECUTE FUNCTION concerts_have_organization();

ALTER TABLE concerts ADD CONSTRAINT concerts_of_organization
    FOREIGN KEY (organization_id) REFERENCES organizations (organization_id) NOT VALID;
ALTER TABLE concerts VALIDATE CONSTRAINT concerts_of_organization;
ALTER TABLE concerts ALTER COLUMN organization_id SET NOT NULL;
CREATE INDEX concerts_by_organization ON concerts (organization_id, created_at, concert_id);

-- Other tables ---------------------------------------------------------------------------------------
-- Their column keeps its name for pods of the previous release; its value is the organization.

COMMENT ON COLUMN logbook.organizer_id IS 'The organization that the action is about.';
COMMENT ON COLUMN webhook_endpoints.organizer_id IS 'The organization that the endpoint belongs to.';
ALTER TABLE webhook_endpoints DROP CONSTRAINT webhook_endpoints_of_organizer;
ALTER TABLE webhook_endpoints ADD CONSTRAINT webhook_endpoints_of_organization
    FOREIGN KEY (organizer_id) REFERENCES organizations (organization_id) NOT VALID;
ALTER TABLE webhook_endpoints VALIDATE CONSTRAINT webhook_endpoints_of_organization;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
