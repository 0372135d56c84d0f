-- Searches for people; functions, because the planner knows too little of texts: a word that it takes for a
-- frequent one would make it read all accounts. `search_text` is in migrations 0024 and 0026, for the indexes are made of it.
-- p_organization_ids: null for all. p_patterns: all of which the text of a person has to match; or p_similar: what it
-- has to be similar to. The orders are pairs of schedule_ids and reservation_ids. is_all: nothing was left unread.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Among the newest p_orders_max orders, of the newest schedules first, those whose buyer or guest is meant.
CREATE OR REPLACE FUNCTION backoffice_search_newest_v1(
    p_organization_ids uuid[],
    p_patterns text[],
    p_similar text,
    p_orders_max integer,
    p_limit integer,
    OUT schedule_ids uuid[],
    OUT reservation_ids uuid[],
    OUT is_all boolean
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET pg_trgm.word_similarity_threshold = 0.6
AS $$
DECLARE
    newest record;
BEGIN
    SELECT array_agg(r.schedule_id) AS schedules, array_agg(r.reservation_id) AS reservations,
           array_agg(r.user_id) AS users, count(*) < p_orders_max AS are_all
      INTO newest
      FROM (SELECT r.schedule_id, r.reservation_id, r.user_id
              FROM (SELECT s.schedule_id
                      FROM schedules s
                      -- no guard: The concert of the schedule, by its primary key.
                      JOIN concerts c ON c.concert_id = s.concert_id
                     -- no guard: The statement `orders` decides again.
                     WHERE p_organization_ids IS NULL OR c.organization_id = ANY (p_organization_ids)
                     ORDER BY s.starts_at DESC) s
             CROSS JOIN LATERAL (
                   SELECT o.schedule_id, o.reservation_id, o.user_id
                     FROM reservations o
                    -- guard: search_newest_of_each_schedule: o.schedule_id = s.schedule_id => true
                    WHERE o.schedule_id = s.schedule_id
                    ORDER BY o.reservation_id DESC
                    -- no guard: Bounds the work.
                    LIMIT p_orders_max) r
             -- no guard: Bounds the work.
             LIMIT p_orders_max) r;
    is_all := newest.are_all;
    SELECT array_agg(f.schedule_id), array_agg(f.reservation_id) INTO schedule_ids, reservation_ids
      FROM (SELECT w.schedule_id, w.reservation_id
              FROM unnest(newest.schedules, newest.reservations, newest.users)
                   WITH ORDINALITY w (schedule_id, reservation_id, user_id, at)
              -- no guard: { Buyer and issue of the order, by their primary keys.
              JOIN users u ON u.user_id = w.user_id
              LEFT JOIN ticket_issues i
                ON i.schedule_id = w.schedule_id AND i.reservation_id = w.reservation_id
              -- guard: }
             CROSS JOIN LATERAL (
                   -- guard: search_newest_guests: i.kind IS NULL => true
                   SELECT CASE WHEN i.kind IS NULL THEN search_text(u.name, u.email)
                               -- no guard: The other half of the condition above, which is a guard.
                               ELSE search_text(i.name, i.email) END AS text
                   -- no guard: Computes the text once.
                   OFFSET 0) t
             -- guard: search_newest_that_are_meant { => WHERE true
             WHERE CASE WHEN p_similar IS NULL THEN t.text LIKE ALL (p_patterns)
                        ELSE t.text %> p_similar END
             -- guard: }
             -- guard: search_newest_most_similar_first: DESC => ASC
             ORDER BY CASE WHEN p_similar IS NOT NULL THEN word_similarity(p_similar, t.text) END DESC, w.at
             -- no guard: Bounds the work; the service decides how many are shown.
             LIMIT p_limit) f;
END;
$$;

-- Orders of buyers and guests that are meant, by the index of their texts: the newest of p_people_max people, or
-- those of the most similar people first.
CREATE OR REPLACE FUNCTION backoffice_search_people_v1(
    p_organization_ids uuid[],
    p_patterns text[],
    p_similar text,
    p_people_max integer,
    p_limit integer,
    OUT schedule_ids uuid[],
    OUT reservation_ids uuid[],
    OUT is_all boolean
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET pg_trgm.word_similarity_threshold = 0.6
AS $$
DECLARE
    people uuid[];
    guests record;
BEGIN
    -- no guard: Which of two searches; the conditions inside are guards.
    IF p_similar IS NULL THEN
        people := ARRAY(
            SELECT u.user_id FROM users u
             -- guard: search_buyers_that_are_meant { => WHERE search_text(u.name, u.email) LIKE '% %'
             WHERE search_text(u.name, u.email) LIKE p_patterns[1]
               AND search_text(u.name, u.email) LIKE p_patterns[2]
               AND search_text(u.name, u.email) LIKE p_patterns[3]
               AND search_text(u.name, u.email) LIKE p_patterns[4]
             -- guard: }
             -- no guard: Bounds the work.
             LIMIT p_people_max);
        SELECT array_agg(i.schedule_id) AS schedules, array_agg(i.reservation_id) AS reservations,
               count(*) AS found
          INTO guests
          FROM (SELECT i.schedule_id, i.reservation_id FROM ticket_issues i
                 -- guard: search_guests_that_are_meant { => WHERE search_text(i.name, i.email) LIKE '% %'
                 WHERE search_text(i.name, i.email) LIKE p_patterns[1]
                   AND search_text(i.name, i.email) LIKE p_patterns[2]
                   AND search_text(i.name, i.email) LIKE p_patterns[3]
                   AND search_text(i.name, i.email) LIKE p_patterns[4]
                 -- guard: }
                 -- no guard: Bounds the work.
                 LIMIT p_people_max) i;
    ELSE
        people := ARRAY(
            SELECT f.user_id
              FROM (SELECT u.user_id, word_similarity(p_similar, search_text(u.name, u.email)) AS likeness
                      FROM users u
                     -- guard: search_similar_buyers: search_text(u.name, u.email) %> p_similar => true
                     WHERE search_text(u.name, u.email) %> p_similar
                     -- no guard: Bounds the work.
                     LIMIT 5 * p_people_max) f
             -- guard: search_most_similar_first: DESC =>
             ORDER BY f.likeness DESC
             -- no guard: Bounds the work.
             LIMIT p_people_max);
        SELECT array_agg(i.schedule_id) AS schedules, array_agg(i.reservation_id) AS reservations,
               count(*) AS found
          INTO guests
          FROM (SELECT i.schedule_id, i.reservation_id FROM ticket_issues i
                 -- guard: search_similar_guests: search_text(i.name, i.email) %> p_similar => true
                 WHERE search_text(i.name, i.email) %> p_similar
                 -- no guard: Bounds the work.
                 LIMIT p_people_max) i;
    END IF;
    -- guard: search_says_what_it_left: cardinality(people) < p_people_max => true
    is_all := cardinality(people) < p_people_max AND guests.found < p_people_max;
    SELECT array_agg(f.schedule_id), array_agg(f.reservation_id) INTO schedule_ids, reservation_ids
      FROM (SELECT o.schedule_id, o.reservation_id
              FROM (SELECT r.schedule_id, r.reservation_id, p.at
                      FROM unnest(people) WITH ORDINALITY p (user_id, at)
                     CROSS JOIN LATERAL (
                           SELECT r.schedule_id, r.reservation_id
                             FROM reservations r
                            -- guard: search_orders_of_the_buyer: r.user_id = p.user_id => true
                            WHERE r.user_id = p.user_id
                            ORDER BY r.reservation_id DESC
                            -- no guard: Bounds the work; the service decides how many are shown.
                            LIMIT p_limit) r
                     UNION ALL
                    SELECT g.schedule_id, g.reservation_id, 0
                      FROM unnest(guests.schedules, guests.reservations) g (schedule_id, reservation_id)) o
              -- no guard: { Schedule and concert, by their primary keys.
              JOIN schedules s ON s.schedule_id = o.schedule_id
              JOIN concerts c ON c.concert_id = s.concert_id
              -- guard: }
             -- no guard: The statement `orders` decides again; this one keeps the places for what may be seen.
             WHERE p_organization_ids IS NULL OR c.organization_id = ANY (p_organization_ids)
             -- guard: search_similar_orders_in_order: o.at => -o.at
             ORDER BY CASE WHEN p_similar IS NOT NULL THEN o.at END, o.reservation_id DESC
             -- no guard: Bounds the work; the service decides how many are shown.
             LIMIT p_limit) f;
END;
$$;
