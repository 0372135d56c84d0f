-- Written while the previous release serves: new tables that it does not know.
-- squawk-ignore-file adding-foreign-key-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Brands -----------------------------------------------------------------------------------------------
-- What buyers see of an organization beside its name. `name_en` and `name_ko` replace the name for readers of
-- that language, `accent` is a colour whose readable shades are derived, `terms` are Markdown. The logo's files
-- are among those of posters, by their hash; `logo_ground` is the colour around it. Pages of `widget_origins`
-- may show the widget of the organization's concerts.

CREATE TABLE brands (
    organization_id uuid NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL DEFAULT 1,
    logo_width_px integer,
    logo_height_px integer,
    name_en text,
    name_ko text,
    accent text,
    terms text NOT NULL DEFAULT '',
    terms_en text,
    terms_ko text,
    logo_hash text,
    logo_ground text,
    widget_origins text [] NOT NULL DEFAULT '{}',
    CONSTRAINT brands_pkey PRIMARY KEY (organization_id),
    CONSTRAINT brands_of_organization
    FOREIGN KEY (organization_id) REFERENCES organizations (organization_id),
    CONSTRAINT brands_accent_code CHECK (accent ~ '^#[0-9a-f]{6}$'),
    CONSTRAINT brands_logo_agrees CHECK (
        num_nonnulls(logo_hash, logo_width_px, logo_height_px, logo_ground) IN (0, 4)),
    CONSTRAINT brands_logo_hash_whole CHECK (logo_hash ~ '^[0-9a-f]{32}$'),
    CONSTRAINT brands_logo_size_positive CHECK (logo_width_px > 0 AND logo_height_px > 0),
    -- They become part of a header.
    CONSTRAINT brands_widget_origins_plain CHECK (
        cardinality(widget_origins) <= 20
        AND array_to_string(widget_origins, ' ') ~ '^(https?://[a-z0-9.:-]+( |$))*$')
);

-- The featured concert --------------------------------------------------------------------------------
-- What an operator puts at the top of the shop's list: at most one.

CREATE TABLE featured_concerts (
    concert_id uuid NOT NULL,
    chosen_by uuid NOT NULL,
    chosen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    place text NOT NULL DEFAULT 'shop',
    CONSTRAINT featured_concerts_pkey PRIMARY KEY (place),
    CONSTRAINT featured_concerts_of_concert
    FOREIGN KEY (concert_id) REFERENCES concerts (concert_id) ON DELETE CASCADE,
    CONSTRAINT featured_concerts_of_operator FOREIGN KEY (chosen_by) REFERENCES users (user_id),
    CONSTRAINT featured_concerts_place_known CHECK (place = 'shop')
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
