-- A new password for the only role; {password} holds URL-safe characters only.
ALTER ROLE boxoffice PASSWORD '{password}';
