"""Mail by SMTP: what is written, in which language, and its sender."""
