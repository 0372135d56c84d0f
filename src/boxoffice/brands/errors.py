"""What refuses a change of a brand."""

from boxoffice.errors import Invalid


class LogoInvalid(Invalid):
    code = "logo_invalid"
    title = "The logo must be a still picture: JPEG, PNG or WebP, from 32 pixels a side."
