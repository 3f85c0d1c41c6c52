-- Who owns things, and how programs prove it.
--
-- The rules of these files: TEXT, BIGINT and DOUBLE PRECISION only (flags are 0 or 1); times are microseconds since
-- 1970-01-01 UTC; ids are the texts that users see; both come from the program. What SQLite and PostgreSQL do not
-- both understand does not stand here. A file that was released is never edited: changes are a new file.

CREATE TABLE teams (
  id         TEXT PRIMARY KEY,               -- team-…; the all-zero id is the platform team
  name       TEXT NOT NULL,
  slug       TEXT NOT NULL UNIQUE,           -- xxxxxx-yyyyyy
  is_byoc    BIGINT NOT NULL DEFAULT 0,      -- its capsules run on its own hosts
  created_at BIGINT NOT NULL,
  deleted_at BIGINT
);

CREATE TABLE team_api_keys (
  id         TEXT PRIMARY KEY,               -- key-…
  team_id    TEXT NOT NULL REFERENCES teams (id),
  name       TEXT NOT NULL,
  key_hash   TEXT NOT NULL UNIQUE,           -- SHA-256 of the whole key, hex: the key itself is shown once and not kept
  key_prefix TEXT NOT NULL,                  -- its first 10 characters, to recognise it by
  created_by TEXT,                           -- user; null: made at the first start
  created_at BIGINT NOT NULL,
  last_used  BIGINT
);
CREATE INDEX idx_team_api_keys_team ON team_api_keys (team_id);
