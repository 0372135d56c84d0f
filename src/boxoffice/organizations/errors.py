"""What refuses a request about members, invitations and applications."""

from boxoffice.errors import NotFound, Rejection


class MemberNotFound(NotFound):
    code = "member_not_found"
    title = "The organization has no such member."


class InvitationNotFound(NotFound):
    code = "invitation_not_found"
    title = "There is no such invitation that is open."


class ApplicationNotFound(NotFound):
    code = "application_not_found"
    title = "There is no such application."


class LastOwner(Rejection):
    code = "last_owner"
    title = "An organization keeps an owner: name another one first."


class AlreadyMember(Rejection):
    code = "already_member"
    title = "This person is a member of the organization."


class InvitationEnded(Rejection):
    code = "invitation_ended"
    title = "The invitation was used, revoked or replaced, or has expired."


class InvitationForAnother(Rejection):
    code = "invitation_for_another"
    title = "The invitation is for another e-mail address than that of this account."


class InvitationLimit(Rejection):
    code = "invitation_limit"
    title = "The organization has sent as many invitations as it may in an hour."


class ApplicationWaiting(Rejection):
    code = "application_waiting"
    title = "An application of this account waits for a decision."


class ApplicationLimit(Rejection):
    code = "application_limit"
    title = "This account has applied as often as it may in a day."


class ApplicationDecided(Rejection):
    code = "application_decided"
    title = "The application was decided."
