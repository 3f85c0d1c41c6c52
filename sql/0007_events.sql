-- What happened: the stream of events, who reads it how far, and which process does what.

-- Of several processes that share this database, one does the work that has a name here, until the lease is over.
CREATE TABLE leases (
  name       TEXT PRIMARY KEY,
  holder     TEXT NOT NULL,            -- a process: random, new at each start
  expires_at BIGINT NOT NULL
);

-- An event is written by the transaction of the change that it tells of. Transactions commit in no order that readers could
-- follow, so the number by which they follow is given afterwards, by one process.
CREATE TABLE events (
  id         TEXT PRIMARY KEY,         -- 25 base36 digits
  seq        BIGINT UNIQUE,            -- 1, 2, …; null: not numbered yet
  type       TEXT NOT NULL,            -- capsule.create, …
  team_id    TEXT NOT NULL,
  resource   TEXT NOT NULL,            -- sandbox:cl-…, snapshot:NAME, host:host-…: what is told in order
  position   BIGINT NOT NULL,          -- within the resource; larger is later
  payload    TEXT NOT NULL,            -- JSON, as channels and listeners get it
  created_at BIGINT NOT NULL
);
CREATE INDEX idx_events_new ON events (resource, position) WHERE seq IS NULL;
CREATE INDEX idx_events_team ON events (team_id, seq);
CREATE INDEX idx_events_created ON events (created_at);

CREATE TABLE event_streams (
  name TEXT PRIMARY KEY,
  last BIGINT NOT NULL                 -- number given last; its event may be deleted since
);

-- How far each group of readers has come: it has dealt with all events up to this number.
CREATE TABLE event_groups (
  name     TEXT PRIMARY KEY,
  position BIGINT NOT NULL
);

-- What is true of the whole installation.
CREATE TABLE installation (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Where a team wants to be told of events.
CREATE TABLE channels (
  id          TEXT PRIMARY KEY,        -- ch-…
  team_id     TEXT NOT NULL REFERENCES teams (id),
  name        TEXT NOT NULL,
  provider    TEXT NOT NULL,           -- webhook | discord | slack | teams | googlechat | telegram | matrix
  config      TEXT NOT NULL,           -- JSON object of strings, each value encrypted
  event_types TEXT NOT NULL,           -- JSON list
  probe_at    BIGINT,                  -- the last delivery failed: the next is not tried before; null: all is well
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  UNIQUE (team_id, name)
);

CREATE TABLE deliveries (
  event_id    TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
  channel_id  TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  seq         BIGINT NOT NULL,         -- of the event
  resource    TEXT NOT NULL,           -- of the event
  status      TEXT NOT NULL,           -- pending | delivered | dead
  first       BIGINT NOT NULL,         -- 1: pending, and nothing before it of its channel and resource is
  attempts    BIGINT NOT NULL DEFAULT 0,
  refusals    BIGINT NOT NULL DEFAULT 0,   -- attempts that reached the receiver
  due_at      BIGINT NOT NULL,
  last_error  TEXT NOT NULL DEFAULT '',
  last_status BIGINT,                  -- HTTP status; null: there was no answer
  created_at  BIGINT NOT NULL,
  finished_at BIGINT,
  PRIMARY KEY (event_id, channel_id)
);
CREATE INDEX idx_deliveries_next ON deliveries (channel_id, seq) WHERE first = 1;
CREATE INDEX idx_deliveries_behind ON deliveries (channel_id, resource, seq) WHERE status = 'pending';
CREATE INDEX idx_deliveries_channel ON deliveries (channel_id, seq);
