-- What users write on their capsules, to find them by. The same stands in sandboxes.metadata, with the program's own entries;
-- here it can be looked up.
CREATE TABLE sandbox_labels (
  sandbox_id TEXT NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
  team_id    TEXT NOT NULL,
  name       TEXT NOT NULL,
  value      TEXT NOT NULL,
  PRIMARY KEY (sandbox_id, name)
);
CREATE INDEX idx_sandbox_labels_value ON sandbox_labels (team_id, name, value, sandbox_id);
