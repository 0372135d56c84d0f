-- Written while the previous release serves: new tables that it does not know, with the indexes of their keys.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Posters ----------------------------------------------------------------------------------------------
-- A concert's picture. Its files are named by a hash of their content, so that an address never changes its
-- content; `widths_px` are those that exist, `colour` fills the frame until the picture is loaded. A text
-- replaces the picture for those who do not see it: `alt` in the organizer's language, or that of a reader.

CREATE TABLE posters (
    concert_id uuid NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    width_px integer NOT NULL,
    height_px integer NOT NULL,
    widths_px integer [] NOT NULL,
    image_hash text NOT NULL,
    colour text NOT NULL,
    alt text NOT NULL DEFAULT '',
    alt_en text,
    alt_ko text,
    CONSTRAINT posters_pkey PRIMARY KEY (concert_id),
    CONSTRAINT posters_of_concert FOREIGN KEY (concert_id) REFERENCES concerts (concert_id) ON DELETE CASCADE,
    CONSTRAINT posters_size_positive CHECK (width_px > 0 AND height_px > 0),
    CONSTRAINT posters_has_widths CHECK (cardinality(widths_px) > 0),
    CONSTRAINT posters_hash_whole CHECK (image_hash ~ '^[0-9a-f]{32}$'),
    CONSTRAINT posters_colour_code CHECK (colour ~ '^#[0-9a-f]{6}$')
);

-- A file of a picture. Without content it is in the object store; the row says that it is there. A file that no
-- poster names stays for a day, as pages that were loaded before still ask for it.
CREATE TABLE poster_files (
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    image_hash text NOT NULL,
    name text NOT NULL,
    content bytea,
    CONSTRAINT poster_files_pkey PRIMARY KEY (image_hash, name),
    CONSTRAINT poster_files_not_empty CHECK (length(content) > 0)
);

-- The pictures are compressed already: no attempt at compressing them again.
ALTER TABLE poster_files ALTER COLUMN content SET STORAGE EXTERNAL;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
