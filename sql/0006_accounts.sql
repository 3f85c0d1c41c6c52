-- People: their accounts, how they sign in, which teams they belong to; and who did what.

CREATE TABLE users (
  id            TEXT PRIMARY KEY,            -- usr-…
  email         TEXT NOT NULL,               -- trimmed, lower case
  password_hash TEXT,                        -- null: signs in by a provider only
  name          TEXT NOT NULL DEFAULT '',
  is_admin      BIGINT NOT NULL DEFAULT 0,   -- of the platform
  status        TEXT NOT NULL,               -- inactive (not yet activated) | active | disabled | deleted
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  deleted_at    BIGINT                       -- of a deleted one: it is purged some time later
);
-- Who has deleted his account may sign up anew before the old one is purged.
CREATE UNIQUE INDEX idx_users_email ON users (email) WHERE status <> 'deleted';
CREATE INDEX idx_users_deleted ON users (deleted_at) WHERE status = 'deleted';

CREATE TABLE users_teams (
  user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  team_id    TEXT NOT NULL REFERENCES teams (id),
  is_default BIGINT NOT NULL DEFAULT 0,      -- where a sign-in begins
  role       TEXT NOT NULL,                  -- owner | admin | member
  created_at BIGINT NOT NULL,
  PRIMARY KEY (team_id, user_id)
);
CREATE INDEX idx_users_teams_user ON users_teams (user_id);

-- Accounts elsewhere with which a user signs in.
CREATE TABLE oauth_providers (
  provider    TEXT NOT NULL,                 -- github
  provider_id TEXT NOT NULL,                 -- the provider's own id of the account
  user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  email       TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (provider, provider_id)
);
CREATE INDEX idx_oauth_providers_user ON oauth_providers (user_id);

CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,               -- SHA-256 of the token, hex
  user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  team_id    TEXT NOT NULL REFERENCES teams (id),  -- the active one
  created_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL,
  expires_at BIGINT NOT NULL                 -- whatever happens; one that is not used ends earlier
);
CREATE INDEX idx_sessions_user ON sessions (user_id);
CREATE INDEX idx_sessions_used ON sessions (used_at);

-- What is good for one use: links in mails, and the way to a provider and back.
CREATE TABLE one_time_tokens (
  token_hash TEXT PRIMARY KEY,               -- SHA-256 of the token, hex
  purpose    TEXT NOT NULL,                  -- activation | password_reset | oauth
  user_id    TEXT REFERENCES users (id) ON DELETE CASCADE,  -- null: a sign-in whose user is not known yet
  payload    TEXT NOT NULL DEFAULT '',
  expires_at BIGINT NOT NULL
);
CREATE INDEX idx_one_time_tokens_expiry ON one_time_tokens (expires_at);
CREATE INDEX idx_one_time_tokens_user ON one_time_tokens (user_id);

CREATE INDEX idx_team_api_keys_creator ON team_api_keys (created_by);

-- Written in the transaction of what was done. Names stand here as they were then: teams, keys and users may be gone.
CREATE TABLE audit_logs (
  id            TEXT PRIMARY KEY,            -- log-…
  team_id       TEXT NOT NULL,
  actor_type    TEXT NOT NULL,               -- user | api_key | system
  actor_id      TEXT,
  actor_name    TEXT NOT NULL DEFAULT '',
  resource_type TEXT NOT NULL,               -- sandbox | snapshot | team | channel | api_key | member | host | user | …
  resource_id   TEXT,
  action        TEXT NOT NULL,
  scope         TEXT NOT NULL,               -- team: all members see it | admin: its owner and admins
  status        TEXT NOT NULL,               -- success | info | warning | error
  metadata      TEXT NOT NULL DEFAULT '{}',  -- JSON object of strings
  created_at    BIGINT NOT NULL
);
CREATE INDEX idx_audit_logs_team ON audit_logs (team_id, created_at, id);
CREATE INDEX idx_audit_logs_actor ON audit_logs (actor_id);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_id) WHERE resource_type = 'member';
