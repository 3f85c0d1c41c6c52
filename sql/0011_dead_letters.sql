-- Deliveries that were given up are counted for every look at the figures; among all that worked they are few.

CREATE INDEX idx_deliveries_dead ON deliveries (channel_id, seq) WHERE status = 'dead';
