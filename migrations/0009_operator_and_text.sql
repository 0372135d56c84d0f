-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Operators ------------------------------------------------------------------------------------------
-- Who runs the shop: sees every concert and changes none, but may take one down. The wider check holds for
-- every row that the narrower one held for, so checking the few rows that people have is all it costs.

ALTER TABLE users DROP CONSTRAINT users_role_known;
ALTER TABLE users ADD CONSTRAINT users_role_known
    CHECK (role IN ('buyer', 'organizer', 'operator')) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT users_role_known;

-- Everybody's concerts, newest first; and the whole logbook.
CREATE INDEX concerts_by_age ON concerts (created_at, concert_id);
CREATE INDEX logbook_by_entry ON logbook (entry_id);

-- What an operator has taken down: nobody sees it but its organizer, and none of its sales is open. Pods of
-- the previous release know nothing of it; what they would show does not sell, because its sales are closed.

ALTER TABLE concerts ADD COLUMN taken_down_at timestamptz, ADD COLUMN taken_down_reason text;
ALTER TABLE concerts ADD CONSTRAINT concerts_taken_down_agrees
    CHECK ((taken_down_at IS NULL) = (taken_down_reason IS NULL)) NOT VALID;
ALTER TABLE concerts VALIDATE CONSTRAINT concerts_taken_down_agrees;

-- Text -----------------------------------------------------------------------------------------------
-- What people search for is kept in one form (NFC) from this release on, and so is what is there. Sections,
-- rows and seat ids are left as they are: they name seats, and two of them may differ in nothing else.

UPDATE concerts
   SET title = normalize(title), artist = normalize(artist), venue = normalize(venue),
       description = normalize(description)
 WHERE title IS NOT NORMALIZED OR artist IS NOT NORMALIZED OR venue IS NOT NORMALIZED
    OR description IS NOT NORMALIZED;
UPDATE users SET name = normalize(name) WHERE name IS NOT NORMALIZED;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
-- Concerts and what is done to them are few: an index is made in a moment.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid, ban-drop-constraint
