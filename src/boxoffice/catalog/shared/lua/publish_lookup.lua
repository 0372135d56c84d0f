-- Publish a look-up in its turn; `reading_turn.lua` stands before this text.
--
-- KEYS  1 the published look-up, 2 the turn
-- ARGV  1 the token of the turn, 2 the look-up
--
-- Returns 0 where the turn is gone, else 1.

return publish_in_turn('SET', KEYS[1], ARGV[2])
