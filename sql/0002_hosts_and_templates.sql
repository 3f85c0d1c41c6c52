-- The machines that run capsules, and the images that capsules start from.

CREATE TABLE hosts (
  id                TEXT PRIMARY KEY,                 -- host-…
  type              TEXT NOT NULL DEFAULT 'regular',  -- regular | byoc
  team_id           TEXT REFERENCES teams (id),       -- owner of a byoc host
  provider          TEXT NOT NULL DEFAULT '',
  availability_zone TEXT NOT NULL DEFAULT '',
  arch              TEXT NOT NULL DEFAULT '',
  cpu_cores         BIGINT NOT NULL DEFAULT 0,
  memory_mb         BIGINT NOT NULL DEFAULT 0,
  disk_gb           BIGINT NOT NULL DEFAULT 0,
  address           TEXT NOT NULL DEFAULT '',         -- of its agent
  status            TEXT NOT NULL DEFAULT 'pending',  -- pending | online | offline | unreachable | draining
  last_heartbeat_at BIGINT,
  metadata          TEXT NOT NULL DEFAULT '{}',       -- JSON: versions, acceleration
  created_by        TEXT,
  created_at        BIGINT NOT NULL,
  updated_at        BIGINT NOT NULL
);
CREATE INDEX idx_hosts_status ON hosts (status);

CREATE TABLE templates (
  id           TEXT PRIMARY KEY,              -- 25 base36 digits; 0–1024 are system templates
  team_id      TEXT NOT NULL,                 -- the platform team's are visible to all
  name         TEXT NOT NULL,
  type         TEXT NOT NULL DEFAULT 'base',  -- base | snapshot
  vcpus        BIGINT NOT NULL DEFAULT 0,     -- of a snapshot: a capsule made of it has these; 0: the request's
  memory_mb    BIGINT NOT NULL DEFAULT 0,
  size_bytes   BIGINT NOT NULL DEFAULT 0,     -- allocated on disk
  default_user TEXT NOT NULL DEFAULT 'root',
  default_env  TEXT NOT NULL DEFAULT '{}',    -- JSON object of strings
  metadata     TEXT NOT NULL DEFAULT '{}',    -- JSON object of strings
  created_at   BIGINT NOT NULL,
  UNIQUE (team_id, name)
);

-- Where a template's files are. A capsule can only be made where they are, so a template without a row here cannot be used.
CREATE TABLE template_hosts (
  template_id TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
  host_id     TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
  generation  TEXT NOT NULL DEFAULT '',       -- of the image there; changes when it is rebuilt
  PRIMARY KEY (template_id, host_id)
);
CREATE INDEX idx_template_hosts_host ON template_hosts (host_id);
