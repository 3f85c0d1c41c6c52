-- What clients need to talk to a capsule's envd themselves. Written when a capsule starts; envd keeps the same token over
-- pause and resume.

ALTER TABLE sandboxes ADD COLUMN access_token TEXT NOT NULL DEFAULT '';
