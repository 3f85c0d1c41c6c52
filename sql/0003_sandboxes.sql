-- Capsules. Rows are never deleted: a stopped capsule can still be asked about.
--
-- status is changed by compare-and-set only: WHERE revision = what was read, or WHERE status IN (…); each change counts
-- revision up, so an operation that finishes late cannot overwrite what happened meanwhile.

CREATE TABLE sandboxes (
  id               TEXT PRIMARY KEY,            -- cl-…
  team_id          TEXT NOT NULL REFERENCES teams (id),
  host_id          TEXT NOT NULL,               -- no reference: hosts are deleted, capsules are remembered
  template         TEXT NOT NULL,               -- name as it was asked for
  template_id      TEXT NOT NULL,
  template_team_id TEXT NOT NULL,
  status           TEXT NOT NULL,               -- pending | starting | running | pausing | paused | resuming | stopping
                                                -- | stopped | missing | error
  status_reason    TEXT NOT NULL DEFAULT '',    -- why: ttl_expired, host_state_sync, the text of a failure
  status_deadline  BIGINT,                      -- of a transient status: when somebody must look what became of it
  revision         BIGINT NOT NULL DEFAULT 1,
  vcpus            BIGINT NOT NULL,
  memory_mb        BIGINT NOT NULL,
  disk_size_mb     BIGINT NOT NULL,
  timeout_sec      BIGINT NOT NULL,             -- inactivity until auto-pause; 0: never
  guest_ip         TEXT NOT NULL DEFAULT '',
  host_ip          TEXT NOT NULL DEFAULT '',    -- at which the host reaches the guest
  metadata         TEXT NOT NULL DEFAULT '{}',  -- JSON object of strings
  created_at       BIGINT NOT NULL,
  started_at       BIGINT,
  last_active_at   BIGINT,
  last_updated     BIGINT NOT NULL
);

-- The list of a team shows what is neither stopped nor failed, newest first. The index alone says which rows those are and
-- whether they have changed since they were last rendered.
CREATE INDEX idx_sandboxes_team ON sandboxes (team_id, created_at, id, revision, last_updated, status)
  WHERE status NOT IN ('stopped', 'error');
-- What the reconciler compares with a host.
CREATE INDEX idx_sandboxes_host ON sandboxes (host_id) WHERE status NOT IN ('stopped', 'error');
