-- The role that serves, for compose.yaml: the image of PostgreSQL runs this once, when it makes its database.
-- It owns nothing; `boxoffice migrate` grants its rights (docs/operations.md, A role that owns nothing).
\getenv password POSTGRES_RUNTIME_PASSWORD
CREATE ROLE boxoffice_runtime LOGIN PASSWORD :'password';
