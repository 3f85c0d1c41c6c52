-- Templates that teams make of their capsules.

-- The row of a snapshot comes before its files and holds its name meanwhile. Null: it is complete; else when somebody must
-- look what became of it.
ALTER TABLE templates ADD COLUMN making_until BIGINT;

-- Ids are never used again. A host that was away when its template was deleted still has the files: what it tells of an id
-- that stands here is deleted there, not taken up again.
CREATE TABLE deleted_templates (
  id         TEXT PRIMARY KEY,   -- 25 base36 digits
  team_id    TEXT NOT NULL,
  deleted_at BIGINT NOT NULL
);
