CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE loads (
  load INTEGER PRIMARY KEY,
  object TEXT NOT NULL,
  file TEXT NOT NULL,
  stamp TEXT NOT NULL,
  rows INTEGER NOT NULL
);

CREATE TABLE rows (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  verb TEXT NOT NULL,
  id INTEGER,
  error TEXT,
  message TEXT,
  data TEXT,
  sends INTEGER NOT NULL,
  sent_at REAL,
  settled_at REAL,
  PRIMARY KEY (load, row)
) WITHOUT ROWID;

CREATE INDEX rows_in_doubt ON rows (load, row) WHERE state IN ('sent', 'unknown');

CREATE TABLE outbox (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (load, row)
) WITHOUT ROWID;

CREATE TABLE findings (
  load INTEGER NOT NULL,
  row INTEGER NOT NULL,
  round INTEGER NOT NULL,
  problem TEXT
);

PRAGMA application_id = 1130909514;
PRAGMA user_version = 1;

INSERT INTO meta VALUES ('account', 'https://a.chargeover.com/api/v3');
INSERT INTO meta VALUES ('created', '2026-11-22 22:00:00+00:00');
INSERT INTO meta VALUES ('plan', '5f');
INSERT INTO meta VALUES ('plan_name', 'plan.toml');
INSERT INTO loads VALUES (0, 'customer', 'customers.csv', 'a0', 6);
INSERT INTO rows VALUES (0, 2, 1, 'c-1', 'created', 'create', 14, NULL, NULL, NULL, 1, 1790000000.0, 1790000001.0);
INSERT INTO rows VALUES (0, 3, 2, 'c-2', 'refused', 'create', NULL, 'AlreadyExists', 'taken', NULL, 1, 1790000000.0, 1790000001.0);
INSERT INTO rows VALUES (0, 4, 3, 'c-3', 'sent', 'create', NULL, NULL, NULL, NULL, 1, 1790000000.5, NULL);
INSERT INTO rows VALUES (0, 5, 4, 'c-4', 'unknown', 'create', NULL, 'OutcomeUnknown', 'no answer', '{"company":"D"}', 2, 1790000000.5, 1790000001.5);
