-- Statements about venues.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: insert_venue
-- A new venue of an organization, unless a request under this key has created one.
INSERT INTO venues (
    venue_id, organization_id, creation_key, name, name_en, name_ko, address, address_en, address_ko, city, country,
    time_zone, directions, directions_en, directions_ko, latitude, longitude)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
-- guard: venue_key_is_used_once
ON CONFLICT ON CONSTRAINT venues_key_unique DO NOTHING
RETURNING venue_id, organization_id, name, name_en, name_ko, address, address_en, address_ko, city, country, time_zone,
          directions, directions_en, directions_ko, latitude, longitude, version, created_at;

-- name: venue_by_creation_key
-- The venue that a request with this key has created.
SELECT v.venue_id, v.organization_id, v.name, v.name_en, v.name_ko, v.address, v.address_en, v.address_ko, v.city, v.country,
       v.time_zone, v.directions, v.directions_en, v.directions_ko, v.latitude, v.longitude, v.version,
       v.created_at
  FROM venues v
 -- guard: venue_key_is_per_organization: v.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: venue_key_is_compared: v.creation_key = $2 => $2::text IS NOT NULL
 WHERE v.organization_id = $1 AND v.creation_key = $2;

-- name: venues_of_organizer
-- A page of some organizations' venues, the newest first, from a cursor on; of all where $1 is null.
SELECT v.venue_id, v.organization_id, v.name, v.name_en, v.name_ko, v.address, v.address_en, v.address_ko, v.city, v.country,
       v.time_zone, v.directions, v.directions_en, v.directions_ko, v.latitude, v.longitude, v.version,
       v.created_at
  FROM venues v
 -- guard: venues_only_own: v.organization_id = ANY ($1::uuid[]) => true
 -- guard: venues_operator_too: $1::uuid[] IS NULL OR =>
 WHERE ($1::uuid[] IS NULL OR v.organization_id = ANY ($1::uuid[]))
   -- guard: venues_page_cursor: v.venue_id < $2 => true
   AND ($2::uuid IS NULL OR v.venue_id < $2)
 ORDER BY v.venue_id DESC
 -- guard: venues_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: venue
-- A venue of these organizations; of any where $2 is null.
SELECT v.venue_id, v.organization_id, v.name, v.name_en, v.name_ko, v.address, v.address_en, v.address_ko, v.city, v.country,
       v.time_zone, v.directions, v.directions_en, v.directions_ko, v.latitude, v.longitude, v.version,
       v.created_at
  FROM venues v
 -- guard: venue_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
 -- guard: venue_only_own: v.organization_id = ANY ($2::uuid[]) => true
 -- guard: venue_operator_too: $2::uuid[] IS NULL OR =>
 WHERE v.venue_id = $1 AND ($2::uuid[] IS NULL OR v.organization_id = ANY ($2::uuid[]));

-- name: lock_venue
-- Lock a venue of these organizations until the transaction ends.
SELECT v.venue_id, v.organization_id, v.name, v.name_en, v.name_ko, v.address, v.address_en, v.address_ko, v.city, v.country,
       v.time_zone, v.directions, v.directions_en, v.directions_ko, v.latitude, v.longitude, v.version,
       v.created_at
  FROM venues v
 -- guard: lock_venue_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
 -- guard: lock_venue_only_own: v.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE v.venue_id = $1 AND v.organization_id = ANY ($2::uuid[])
   -- guard: lock_venue_it_is_locked => ;
   FOR UPDATE;

-- name: is_on_show
-- Whether buyers see a performance at a venue that has not begun.
SELECT EXISTS (
    SELECT FROM schedules s
     -- guard: venue_on_show_by_id: s.venue_id = $1 => $1::uuid IS NOT NULL
     -- guard: venue_of_drafts_is_not_on_show: AND s.status <> 'DRAFT' =>
     -- guard: venue_of_past_is_not_on_show: AND s.starts_at > clock_timestamp() =>
     WHERE s.venue_id = $1 AND s.status <> 'DRAFT' AND s.starts_at > clock_timestamp());

-- name: update_venue
-- All members of a venue, which is locked.
UPDATE venues v
   SET name = $2, name_en = $3, name_ko = $4, address = $5, address_en = $6, address_ko = $7, city = $8,
       country = $9, time_zone = $10, directions = $11, directions_en = $12, directions_ko = $13,
       latitude = $14, longitude = $15, version = v.version + 1
 -- guard: update_venue_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
 WHERE v.venue_id = $1
RETURNING v.venue_id, v.organization_id, v.name, v.name_en, v.name_ko, v.address, v.address_en, v.address_ko, v.city, v.country,
          v.time_zone, v.directions, v.directions_en, v.directions_ko, v.latitude, v.longitude, v.version,
          v.created_at;

-- name: delete_venue
-- A foreign key refuses it where a schedule names it.
-- guard: delete_venue_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
DELETE FROM venues v WHERE v.venue_id = $1;
