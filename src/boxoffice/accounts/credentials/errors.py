"""What refuses a change of a password or an address, and a hold without a verified address."""

from boxoffice.errors import Forbidden, Rejection


class LinkEnded(Rejection):
    code = "link_ended"
    title = "The link was used, has expired, or is void because the account has changed."


class AlreadyVerified(Rejection):
    code = "already_verified"
    title = "The e-mail address is verified."


class PasswordChanged(Rejection):
    code = "password_changed"
    title = "The password was changed by another request."


class PasswordWrong(Forbidden):
    code = "password_wrong"
    title = "This is not the present password of the account."


class EmailNotVerified(Forbidden):
    code = "email_not_verified"
    title = "The organizer asks for a verified e-mail address: open the link in the mail first."
