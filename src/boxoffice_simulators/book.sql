-- name: schema
-- The tables of a simulator's book.
CREATE TABLE IF NOT EXISTS book_values (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS book_objects (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  parent TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT;
CREATE INDEX IF NOT EXISTS book_objects_parent ON book_objects (kind, parent, number);
CREATE TABLE IF NOT EXISTS book_movements (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  order_id TEXT NOT NULL,
  payment_key TEXT NOT NULL,
  amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
  currency TEXT NOT NULL,
  transaction_key TEXT NOT NULL,
  happened_at REAL NOT NULL,
  visible_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS book_answers (
  key TEXT PRIMARY KEY,
  request TEXT NOT NULL,
  status INTEGER NOT NULL,
  body TEXT NOT NULL,
  answered_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS book_notices (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  due_at REAL NOT NULL,
  tries INTEGER NOT NULL,
  status TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS book_notices_due ON book_notices (due_at, number) WHERE status = 'due';

-- name: clear
-- Forget everything.
DELETE FROM book_values; DELETE FROM book_objects; DELETE FROM book_movements;
DELETE FROM book_answers; DELETE FROM book_notices;

-- name: get_value
-- One named value.
SELECT value FROM book_values WHERE name = :name;

-- name: set_value
-- Keep a named value.
INSERT INTO book_values VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value;

-- name: get_object
-- One object of the provider.
SELECT body FROM book_objects WHERE kind = :kind AND id = :id;

-- name: put_object
-- Keep an object; its number stays that of its creation.
INSERT INTO book_objects (kind, id, parent, body) VALUES (:kind, :id, :parent, :body)
ON CONFLICT (kind, id) DO UPDATE SET body = :body;

-- name: list_objects
-- The objects of a kind, or those of one parent, oldest first.
SELECT body FROM book_objects
WHERE kind = :kind AND (:parent = '' OR parent = :parent) ORDER BY number;

-- name: add_movement
-- Money moves, once for each key.
INSERT INTO book_movements
  (key, kind, order_id, payment_key, amount_minor, currency, transaction_key, happened_at, visible_at)
VALUES (:key, :kind, :order_id, :payment_key, :amount_minor, :currency, :transaction_key,
        :happened_at, :visible_at);

-- name: remove_movement
-- A deposit that never came is no movement.
DELETE FROM book_movements WHERE key = :key;

-- name: list_movements
-- Every movement, oldest first.
SELECT * FROM book_movements ORDER BY number;

-- name: get_answer
-- The stored answer of an idempotency key.
SELECT request, status, body, answered_at FROM book_answers WHERE key = :key;

-- name: put_answer
-- Store the first answer of an idempotency key; an old one makes place.
INSERT INTO book_answers VALUES (:key, :request, :status, :body, :answered_at)
ON CONFLICT (key) DO UPDATE
SET request = :request, status = :status, body = :body, answered_at = :answered_at;

-- name: add_notice
-- A notice to send.
INSERT INTO book_notices (id, body, due_at, tries, status) VALUES (:id, :body, :due_at, 0, 'due');

-- name: due_notices
-- Notices to send now, oldest first.
SELECT number, id, body, tries FROM book_notices
WHERE status = 'due' AND due_at <= :now ORDER BY due_at, number LIMIT 100;

-- name: settle_notice
-- What became of a notice.
UPDATE book_notices SET due_at = :due_at, tries = :tries, status = :status WHERE number = :number;

-- name: list_notices
-- Every notice.
SELECT number, id, body, due_at, tries, status FROM book_notices ORDER BY number;
