-- Whether somebody is at work on a capsule. Operations may take minutes; while one does, its process says so again and again,
-- and no other takes the row for forgotten. Not last_updated: nothing has changed, and clients see that one.
ALTER TABLE sandboxes ADD COLUMN attended_at BIGINT NOT NULL DEFAULT 0;  -- 0: never said
