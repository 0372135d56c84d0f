-- Statements about organizations, members, invitations and applications.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: memberships
-- The organizations of a person, by name.
SELECT o.organization_id, o.name, m.role
  FROM organization_members m
  -- guard: memberships_their_organization => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = m.organization_id
 -- guard: memberships_of_the_person => WHERE $1::uuid IS NOT NULL
 WHERE m.user_id = $1
 ORDER BY o.name, o.organization_id;

-- name: organization
-- The name of an organization, if it is one of $2 (null: of any).
SELECT o.organization_id, o.name
  FROM organizations o
 -- guard: organization_by_id: o.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: organization_own_only: o.organization_id = ANY ($2::uuid[]) => true
 WHERE o.organization_id = $1 AND ($2::uuid[] IS NULL OR o.organization_id = ANY ($2::uuid[]));

-- name: members
-- The members of an organization, owners first.
SELECT m.user_id, u.name, u.email, m.role, m.joined_at
  FROM organization_members m
  -- no guard: The account of a member, by its primary key.
  JOIN users u ON u.user_id = m.user_id
 -- guard: members_of_the_organization => WHERE $1::uuid IS NOT NULL
 WHERE m.organization_id = $1
 ORDER BY m.role <> 'owner', m.joined_at, m.user_id;

-- name: lock_organization
-- Lets changes of an organization's members take turns, and returns its name. Roles are read by the next
-- statement, which sees what was committed while this one waited.
SELECT o.name
  FROM organizations o
 -- guard: lock_organization_by_id => WHERE $1::uuid IS NOT NULL
 WHERE o.organization_id = $1
   -- guard: changes_of_members_take_turns => ;
   FOR NO KEY UPDATE OF o;

-- name: rename
-- The new name of an organization.
-- guard: rename_only_this: organization_id = $1 => $1::uuid IS NOT NULL
UPDATE organizations SET name = $2 WHERE organization_id = $1;

-- name: role_of
-- The role of a member.
SELECT m.role
  FROM organization_members m
 -- guard: role_of_the_organization: m.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: role_of_the_person: m.user_id = $2 => $2::uuid IS NOT NULL
 WHERE m.organization_id = $1 AND m.user_id = $2;

-- name: other_owners
-- Whether an organization has an owner beside person $2.
SELECT EXISTS (
    SELECT FROM organization_members m
     -- guard: owners_of_the_organization: m.organization_id = $1 => $1::uuid IS NOT NULL
     -- guard: owners_beside_the_person: AND m.user_id <> $2 => AND $2::uuid IS NOT NULL
     -- guard: owners_only: AND m.role = 'owner' =>
     WHERE m.organization_id = $1 AND m.user_id <> $2 AND m.role = 'owner') AS has_other;

-- name: set_role
-- The new role of a member.
UPDATE organization_members m SET role = $3
 -- guard: set_role_in_the_organization: m.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: set_role_of_the_person: m.user_id = $2 => $2::uuid IS NOT NULL
 WHERE m.organization_id = $1 AND m.user_id = $2;

-- name: remove_member
-- Ends a membership.
DELETE FROM organization_members m
 -- guard: remove_from_the_organization: m.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: remove_the_person: m.user_id = $2 => $2::uuid IS NOT NULL
 WHERE m.organization_id = $1 AND m.user_id = $2;

-- name: add_member
-- A member with a role; no row for one who is a member.
INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, $3)
-- guard: add_member_once => RETURNING user_id;
ON CONFLICT DO NOTHING RETURNING user_id;

-- name: add_organization
-- A new organization.
INSERT INTO organizations (organization_id, name) VALUES ($1, $2);

-- name: member_of_address
-- Whether the account of an e-mail address is a member of an organization.
SELECT EXISTS (
    SELECT FROM users u
      -- guard: member_of_address_is_in_the_organization: AND m.organization_id = $1 => AND $1::uuid IS NOT NULL
      JOIN organization_members m ON m.user_id = u.user_id AND m.organization_id = $1
     -- guard: member_of_this_address => WHERE $2::text IS NOT NULL) AS is_member;
     WHERE u.email = $2) AS is_member;

-- name: invitations_since
-- How many invitations an organization has made in the last $2 seconds.
SELECT count(*) AS invitations
  FROM organization_invitations i
 -- guard: invitations_counted_of_the_organization: i.organization_id = $1 => $1::uuid IS NOT NULL
 WHERE i.organization_id = $1
   -- guard: invitations_counted_for_a_time => AND $2::float8 IS NOT NULL;
   AND i.created_at > clock_timestamp() - make_interval(secs => $2);

-- name: revoke_of_address
-- Ends the open invitation of an address to an organization, before another one is made.
UPDATE organization_invitations i SET revoked_at = clock_timestamp()
 -- guard: replace_in_the_organization: i.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: replace_of_the_address: AND i.email = $2 => AND $2::text IS NOT NULL
 WHERE i.organization_id = $1 AND i.email = $2
   -- guard: replace_only_open_ones => ;
   AND i.accepted_at IS NULL AND i.revoked_at IS NULL;

-- name: revoke_of_inviter
-- Ends the open invitations of person $2, who is no owner of an organization any more.
UPDATE organization_invitations i SET revoked_at = clock_timestamp()
 -- guard: end_in_the_organization: i.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: end_of_the_inviter: AND i.invited_by = $2 => AND $2::uuid IS NOT NULL
 WHERE i.organization_id = $1 AND i.invited_by = $2
   -- no guard: A constraint refuses to end one that was accepted.
   AND i.accepted_at IS NULL AND i.revoked_at IS NULL;

-- name: insert_invitation
-- An invitation that ends in $7 seconds.
INSERT INTO organization_invitations (invitation_id, organization_id, invited_by, email, role, language, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
RETURNING invitation_id, email, role, created_at, expires_at;

-- name: queue_mail
-- Queues a mail in the transaction of its cause.
SELECT notifications_queue_mail_v1($1, $2, $3, $4);

-- name: invitations
-- The open invitations of an organization, the newest first; expired ones are among them.
SELECT i.invitation_id, i.email, i.role, i.created_at, i.expires_at
  FROM organization_invitations i
 -- guard: invitations_of_the_organization: i.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: invitations_open_only: AND i.accepted_at IS NULL AND i.revoked_at IS NULL =>
 WHERE i.organization_id = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL
 ORDER BY i.created_at DESC, i.invitation_id
 -- no guard: Bounds the answer; the limit per hour bounds the rows.
 LIMIT 500;

-- name: revoke
-- Ends an open invitation of an organization; no row where there is none.
UPDATE organization_invitations i SET revoked_at = clock_timestamp()
 -- guard: revoke_in_the_organization: i.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: revoke_this_one: AND i.invitation_id = $2 => AND $2::uuid IS NOT NULL
 WHERE i.organization_id = $1 AND i.invitation_id = $2
   -- guard: revoke_only_open_ones => RETURNING i.role;
   AND i.accepted_at IS NULL AND i.revoked_at IS NULL RETURNING i.role;

-- name: lock_invitation
-- An invitation with one of its tokens, locked until the transaction ends; and the address of person $3.
SELECT i.organization_id, i.email, i.role, u.email AS own_email,
       -- guard: accept_only_once: i.accepted_at IS NULL AND =>
       -- guard: accept_none_that_was_revoked: AND i.revoked_at IS NULL =>
       -- guard: accept_none_that_is_expired: AND i.expires_at > clock_timestamp() =>
       i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp() AS is_open
  FROM organization_invitations i
  -- guard: accept_as_the_person => JOIN users u ON $3::uuid IS NOT NULL
  JOIN users u ON u.user_id = $3
 -- guard: accept_this_invitation: i.invitation_id = $1 => $1::uuid IS NOT NULL
 -- guard: accept_with_its_token: AND $2 = ANY (i.token_hashes) => AND $2::bytea IS NOT NULL
 WHERE i.invitation_id = $1 AND $2 = ANY (i.token_hashes)
   -- guard: accept_one_at_a_time => ;
   FOR UPDATE OF i;

-- name: end_invitation
-- Notes who accepted a locked invitation.
UPDATE organization_invitations i SET accepted_at = clock_timestamp(), accepted_by = $2
 -- guard: end_only_this_invitation => WHERE $1::uuid IS NOT NULL;
 WHERE i.invitation_id = $1;

-- name: applications_since
-- How many applications a person has made in the last $2 seconds.
SELECT count(*) AS applications
  FROM organizer_applications a
 -- guard: applications_counted_of_the_person: a.user_id = $1 => $1::uuid IS NOT NULL
 WHERE a.user_id = $1
   -- guard: applications_counted_for_a_time => AND $2::float8 IS NOT NULL;
   AND a.created_at > clock_timestamp() - make_interval(secs => $2);

-- name: insert_application
-- An application; no row while another one of the person waits.
INSERT INTO organizer_applications (application_id, user_id, organization_name, contact, note)
VALUES ($1, $2, $3, $4, $5)
-- guard: one_application_waits => RETURNING application_id, created_at;
ON CONFLICT DO NOTHING RETURNING application_id, created_at;

-- name: own_applications
-- The applications of a person, the newest first.
SELECT a.application_id, a.user_id, u.name, u.email, a.organization_name, a.contact, a.note, a.created_at, a.state,
       a.decided_at, a.reason, a.organization_id
  FROM organizer_applications a
  -- no guard: The account, by its primary key.
  JOIN users u ON u.user_id = a.user_id
 -- guard: applications_of_the_person => WHERE $1::uuid IS NOT NULL
 WHERE a.user_id = $1
 ORDER BY a.application_id DESC
 -- no guard: Bounds the answer.
 LIMIT 20;

-- name: applications
-- Applications in a state, the oldest first, after a cursor.
SELECT a.application_id, a.user_id, u.name, u.email, a.organization_name, a.contact, a.note, a.created_at, a.state,
       a.decided_at, a.reason, a.organization_id
  FROM organizer_applications a
  -- no guard: The account, by its primary key.
  JOIN users u ON u.user_id = a.user_id
 -- guard: applications_in_the_state: a.state = $1 => $1::text IS NOT NULL
 -- guard: applications_page_cursor: a.application_id > $2 => true
 WHERE a.state = $1 AND ($2::uuid IS NULL OR a.application_id > $2)
 ORDER BY a.application_id
 -- guard: applications_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: lock_application
-- An application, locked until the transaction ends.
SELECT a.user_id, a.state, a.organization_name
  FROM organizer_applications a
 -- guard: lock_application_by_id => WHERE $1::uuid IS NOT NULL
 WHERE a.application_id = $1
   -- guard: decide_one_at_a_time => ;
   FOR UPDATE OF a;

-- name: decide
-- The decision of operator $2 about a locked application.
UPDATE organizer_applications a
   SET state = $3, decided_at = clock_timestamp(), decided_by = $2, reason = $4, organization_id = $5
 -- guard: decide_only_this => WHERE $1::uuid IS NOT NULL;
 WHERE a.application_id = $1;
