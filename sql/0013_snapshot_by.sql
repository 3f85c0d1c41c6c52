-- Who asked for a snapshot that is being made: when another process learns what became of it, the event and the audit log still
-- name him.

ALTER TABLE templates ADD COLUMN by_type TEXT NOT NULL DEFAULT 'system';  -- user | api_key | system
ALTER TABLE templates ADD COLUMN by_id TEXT NOT NULL DEFAULT '';
ALTER TABLE templates ADD COLUMN by_name TEXT NOT NULL DEFAULT '';
