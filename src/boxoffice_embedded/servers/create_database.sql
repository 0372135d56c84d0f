-- The database of the product, created before connections are accepted.
CREATE DATABASE boxoffice OWNER boxoffice;
