-- Statements about brands of organizations.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: brand
-- The brand of an organization, if it is one of $2 (null: of any); version 0 without one of its own.
SELECT o.organization_id, o.name, b.name_en, b.name_ko, b.accent, coalesce(b.terms, '') AS terms, b.terms_en,
       b.terms_ko, b.logo_hash, b.logo_width_px, b.logo_height_px, b.logo_ground, coalesce(b.version, 0) AS version,
       coalesce(b.widget_origins, '{}') AS widget_origins
  FROM organizations o
  -- guard: brand_of_the_organization => LEFT JOIN brands b ON true
  LEFT JOIN brands b ON b.organization_id = o.organization_id
 -- guard: brand_by_organization: o.organization_id = $1 => $1::uuid IS NOT NULL
 -- guard: brand_own_only: o.organization_id = ANY ($2::uuid[]) => true
 WHERE o.organization_id = $1 AND ($2::uuid[] IS NULL OR o.organization_id = ANY ($2::uuid[]));

-- name: brand_of_concert
-- The brand of the organization of a concert.
SELECT o.organization_id, o.name, b.name_en, b.name_ko, b.accent, coalesce(b.terms, '') AS terms, b.terms_en,
       b.terms_ko, b.logo_hash, b.logo_width_px, b.logo_height_px, b.logo_ground, coalesce(b.version, 0) AS version,
       coalesce(b.widget_origins, '{}') AS widget_origins
  FROM concerts c
  -- guard: brand_of_its_organization => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = c.organization_id
  -- guard: brand_of_the_concerts_organization => LEFT JOIN brands b ON true
  LEFT JOIN brands b ON b.organization_id = o.organization_id
 -- guard: brand_by_concert: c.concert_id = $1 => $1::uuid IS NOT NULL
 WHERE c.concert_id = $1;

-- name: put_brand
-- All members of a brand, whose organization is locked; its new version.
INSERT INTO brands AS b (
    organization_id, name_en, name_ko, accent, terms, terms_en, terms_ko, logo_hash, logo_width_px, logo_height_px,
    logo_ground, widget_origins)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
-- no guard: The primary key refuses a second row in any case.
ON CONFLICT (organization_id) DO UPDATE
   SET name_en = excluded.name_en, name_ko = excluded.name_ko, accent = excluded.accent, terms = excluded.terms,
       terms_en = excluded.terms_en, terms_ko = excluded.terms_ko, logo_hash = excluded.logo_hash,
       logo_width_px = excluded.logo_width_px, logo_height_px = excluded.logo_height_px,
       logo_ground = excluded.logo_ground, widget_origins = excluded.widget_origins, version = b.version + 1, changed_at = clock_timestamp()
RETURNING b.version;
