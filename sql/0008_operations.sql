-- Who began the operation that is under way on a capsule, or the last one: when another process ends it, events and the audit
-- log still name him.

ALTER TABLE sandboxes ADD COLUMN by_type TEXT NOT NULL DEFAULT 'system';  -- user | api_key | system
ALTER TABLE sandboxes ADD COLUMN by_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sandboxes ADD COLUMN by_name TEXT NOT NULL DEFAULT '';

-- What a team uses is counted with each create.
CREATE INDEX idx_sandboxes_using ON sandboxes (team_id, vcpus, memory_mb)
  WHERE status IN ('pending', 'starting', 'running', 'pausing', 'resuming');

-- Requests that clients may repeat (Idempotency-Key): the first one is carried out, the others get its answer.
CREATE TABLE idempotency_keys (
  team_id       TEXT NOT NULL,
  actor_id      TEXT NOT NULL,               -- whose key it is: two users may choose the same
  key           TEXT NOT NULL,
  fingerprint   TEXT NOT NULL,               -- SHA-256 of method, path and body, hex
  sandbox_id    TEXT,                        -- made by the first one, in the transaction that made it
  answer_status BIGINT,                      -- null: the first one is under way, or its process has died
  answer        TEXT NOT NULL DEFAULT '',    -- sealed: it may hold a secret that is shown once
  claimed_until BIGINT NOT NULL,             -- until then the first one is taken for under way
  created_at    BIGINT NOT NULL,
  PRIMARY KEY (team_id, actor_id, key)
);
CREATE INDEX idx_idempotency_keys_created ON idempotency_keys (created_at);
