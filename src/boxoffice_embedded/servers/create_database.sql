-- The shop's database, made before anybody can connect.
CREATE DATABASE boxoffice OWNER boxoffice;
