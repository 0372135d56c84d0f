-- Statements about posters and their files.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: own_concert
-- The organization of a concert, if it is one of these (null: of any).
SELECT c.organization_id
  FROM concerts c
 -- guard: poster_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => true
 -- guard: poster_operator_too: $2::uuid[] IS NULL OR =>
 -- guard: poster_concert_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 WHERE c.concert_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: store_file
-- Keep a file; one that is there gets another day. Without content it is in the object store.
INSERT INTO poster_files (image_hash, name, content)
VALUES ($1, $2, $3)
-- no guard: The primary key refuses a second row in any case.
ON CONFLICT (image_hash, name) DO UPDATE SET stored_at = clock_timestamp(), content = excluded.content;

-- name: put_poster
-- Set the picture of a concert; its alternative texts stay.
INSERT INTO posters AS p (concert_id, image_hash, width_px, height_px, widths_px, colour)
VALUES ($1, $2, $3, $4, $5, $6)
-- no guard: The primary key refuses a second row in any case.
ON CONFLICT (concert_id) DO UPDATE
   SET image_hash = excluded.image_hash, width_px = excluded.width_px, height_px = excluded.height_px,
       widths_px = excluded.widths_px, colour = excluded.colour, uploaded_at = clock_timestamp()
RETURNING p.concert_id, p.image_hash, p.width_px, p.height_px, p.widths_px, p.colour, p.alt, p.alt_en, p.alt_ko;

-- name: describe_poster
-- Set the alternative texts of a poster; no row without one.
UPDATE posters p
   SET alt = $2, alt_en = $3, alt_ko = $4
 -- guard: poster_described_by_id => WHERE $1::uuid IS NOT NULL
 WHERE p.concert_id = $1
RETURNING p.concert_id, p.image_hash, p.width_px, p.height_px, p.widths_px, p.colour, p.alt, p.alt_en, p.alt_ko;

-- name: delete_poster
-- Take a concert's poster away.
DELETE FROM posters p
 -- guard: poster_deleted_by_id => WHERE $1::uuid IS NOT NULL
 WHERE p.concert_id = $1
RETURNING p.concert_id;

-- name: posters
-- The posters of these concerts.
SELECT p.concert_id, p.image_hash, p.width_px, p.height_px, p.widths_px, p.colour, p.alt, p.alt_en, p.alt_ko
  FROM posters p
 -- guard: posters_of_these_concerts => WHERE $1::uuid[] IS NOT NULL
 WHERE p.concert_id = ANY ($1::uuid[]);

-- name: file
-- A file of a picture; null where the object store has it.
-- guard: poster_file_by_hash: f.image_hash = $1 => $1::text IS NOT NULL
-- guard: poster_file_by_name: f.name = $2 => $2::text IS NOT NULL
SELECT f.content FROM poster_files f WHERE f.image_hash = $1 AND f.name = $2;

-- name: forget_files
-- Delete files that no poster and no brand names and that were stored more than $1 seconds ago.
DELETE FROM poster_files f
 -- guard: poster_files_that_are_old => WHERE $1::integer IS NOT NULL
 WHERE f.stored_at < clock_timestamp() - make_interval(secs => $1)
   -- guard: poster_files_without_a_poster
   AND NOT EXISTS (SELECT FROM posters p WHERE p.image_hash = f.image_hash)
   -- guard: poster_files_without_a_brand
   AND NOT EXISTS (SELECT FROM brands b WHERE b.logo_hash = f.image_hash)
RETURNING f.image_hash, f.name;
