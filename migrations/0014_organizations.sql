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
