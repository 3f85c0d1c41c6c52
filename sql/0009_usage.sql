-- What teams use, and how capsules fared.

-- From when until when each capsule ran: what is charged is added up from these, so it does not matter whether a control
-- plane was there to watch. Written with the change of the status. Intervals of one capsule never overlap.
CREATE TABLE usage_runs (
  sandbox_id TEXT NOT NULL,    -- no references here: what was used is remembered
  revision   BIGINT NOT NULL,  -- of the row when it began
  team_id    TEXT NOT NULL,
  vcpus      BIGINT NOT NULL,
  memory_mb  BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL,  -- 9223372036854775807: it runs
  PRIMARY KEY (sandbox_id, revision)
);
CREATE UNIQUE INDEX idx_usage_runs_open ON usage_runs (sandbox_id) WHERE ended_at = 9223372036854775807;
CREATE INDEX idx_usage_runs_team ON usage_runs (team_id, ended_at);
CREATE INDEX idx_usage_runs_ended ON usage_runs (ended_at);

-- What runs while this is applied.
INSERT INTO usage_runs (sandbox_id, revision, team_id, vcpus, memory_mb, started_at, ended_at)
  SELECT id, revision, team_id, vcpus, memory_mb, COALESCE(started_at, created_at), 9223372036854775807
  FROM sandboxes WHERE status IN ('running', 'pausing');

-- Sums of the days that are over; a team without a row used nothing.
CREATE TABLE daily_usage (
  team_id TEXT NOT NULL,
  day     BIGINT NOT NULL,  -- days since 1970-01-01, UTC
  vcpu_ms BIGINT NOT NULL,
  mib_ms  BIGINT NOT NULL,
  PRIMARY KEY (team_id, day)
);
CREATE INDEX idx_daily_usage_day ON daily_usage (day);
CREATE TABLE usage_rollup (
  id       BIGINT PRIMARY KEY,  -- 1: there is one row
  next_day BIGINT NOT NULL      -- all days before it are in daily_usage
);

-- What teams had at once: every 10 seconds, and the maxima of every 12 minutes, which are kept longer.
CREATE TABLE team_samples (
  team_id   TEXT NOT NULL,
  period_us BIGINT NOT NULL,
  at        BIGINT NOT NULL,  -- begin of the period
  running   BIGINT NOT NULL,
  vcpus     BIGINT NOT NULL,
  memory_mb BIGINT NOT NULL,
  PRIMARY KEY (team_id, period_us, at)
);
CREATE INDEX idx_team_samples_age ON team_samples (period_us, at);

-- Samples of capsules whose host may not know them any more.
CREATE TABLE sandbox_metrics (
  sandbox_id TEXT NOT NULL,
  tier       TEXT NOT NULL,    -- 10m | 2h | 24h
  points     TEXT NOT NULL,    -- JSON as the host's agent tells it, oldest first
  stored_at  BIGINT NOT NULL,
  PRIMARY KEY (sandbox_id, tier)
);
CREATE INDEX idx_sandbox_metrics_age ON sandbox_metrics (stored_at);
