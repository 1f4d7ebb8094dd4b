-- The schema of a log of version 4.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL, dated INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX event_by_date ON event (dated, seq);
CREATE INDEX event_by_subject ON event (subject);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tip (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, target TEXT, dated INTEGER,
    session TEXT, adapter TEXT, side TEXT, skipped TEXT NOT NULL);
CREATE INDEX tip_of_trunk ON tip (name) WHERE kind != 'tag';
CREATE INDEX tip_by_session ON tip (session) WHERE session IS NOT NULL;
CREATE TABLE tip_tree (
    target TEXT PRIMARY KEY, tree TEXT NOT NULL, covered INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE commits (
    id INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE, author TEXT NOT NULL, authored INTEGER NOT NULL,
    committed INTEGER NOT NULL, merge INTEGER NOT NULL, truncated INTEGER NOT NULL);
CREATE INDEX commits_by_time ON commits (committed);
CREATE INDEX commits_truncated ON commits (oid) WHERE truncated;
CREATE TABLE path (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, born INTEGER);
CREATE INDEX path_by_birth ON path (born);
CREATE INDEX path_by_folder ON path (folder);
CREATE TABLE change (
    commit_id INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE, path_id INTEGER NOT NULL,
    status TEXT NOT NULL, PRIMARY KEY (commit_id, path_id)) WITHOUT ROWID;
CREATE INDEX change_by_path ON change (path_id);
CREATE TABLE document (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, path TEXT NOT NULL,
    work_tree TEXT NOT NULL, session TEXT, title TEXT NOT NULL, UNIQUE (oid, path, work_tree));
CREATE INDEX document_by_session ON document (session);
CREATE INDEX document_by_path ON document (path) WHERE kind != 'commit';
CREATE INDEX document_draft ON document (work_tree) WHERE work_tree != '';
CREATE TABLE file (
    work_tree TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, oid TEXT NOT NULL,
    PRIMARY KEY (work_tree, path)) WITHOUT ROWID;
CREATE TABLE source (
    id INTEGER PRIMARY KEY, oid TEXT NOT NULL, extractor TEXT NOT NULL, title TEXT NOT NULL,
    fields TEXT NOT NULL, skipped TEXT NOT NULL, unread TEXT NOT NULL, UNIQUE (oid, extractor));
CREATE INDEX source_skipped ON source (skipped) WHERE skipped != '';
CREATE INDEX source_unread ON source (unread) WHERE unread != '';
CREATE TABLE observation (
    id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES source ON DELETE CASCADE,
    key BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, line INTEGER NOT NULL,
    section TEXT NOT NULL, weight REAL NOT NULL, text_key BLOB NOT NULL,
    live INTEGER NOT NULL DEFAULT 0);
CREATE INDEX observation_by_source ON observation (source_id);
CREATE INDEX observation_by_text ON observation (text_key, key) WHERE live;
CREATE INDEX observation_by_kind ON observation (kind) WHERE live;
CREATE INDEX observation_by_key ON observation (key);
CREATE TABLE text (
    key BLOB PRIMARY KEY, live INTEGER NOT NULL, indexed INTEGER NOT NULL DEFAULT 0,
    dated INTEGER NOT NULL);
CREATE INDEX text_missing ON text (dated, key) WHERE live > 0 AND indexed = 0;
CREATE INDEX text_left ON text (key) WHERE live = 0;
CREATE TABLE session (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, adapter TEXT, started INTEGER, ended INTEGER, start TEXT,
    "end" TEXT, path TEXT, state TEXT NOT NULL, ranged INTEGER NOT NULL);
CREATE INDEX session_by_start ON session (started);
CREATE INDEX session_by_time ON session (started, ended, id) WHERE NOT ranged;
CREATE TABLE session_commit (
    session TEXT NOT NULL, commit_id INTEGER NOT NULL, PRIMARY KEY (session, commit_id)) WITHOUT ROWID;
CREATE INDEX session_by_commit ON session_commit (commit_id);
CREATE TABLE unit (
    id INTEGER PRIMARY KEY, reads TEXT NOT NULL, name TEXT NOT NULL, stale INTEGER NOT NULL,
    UNIQUE (reads, name));
CREATE INDEX unit_stale ON unit (reads, name) WHERE stale;
CREATE TABLE generator (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, reads TEXT NOT NULL,
    evidence TEXT NOT NULL, reached INTEGER);
CREATE TABLE pair (
    unit_id INTEGER NOT NULL, generator_id INTEGER NOT NULL, kind TEXT NOT NULL, anchor INTEGER NOT NULL,
    positive INTEGER NOT NULL, negative INTEGER NOT NULL, weight REAL NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (unit_id, generator_id, kind, anchor, positive, negative)) WITHOUT ROWID;
CREATE TABLE pair_total (
    generator_id INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, weight INTEGER NOT NULL,
    PRIMARY KEY (generator_id, kind)) WITHOUT ROWID;
CREATE VIRTUAL TABLE observation_words USING fts5 (
    words, tokenize = 'porter unicode61', content = '', columnsize = 1);
CREATE VIRTUAL TABLE session_words USING fts5 (
    title, body, tokenize = 'porter unicode61', content = '', columnsize = 1);
CREATE VIRTUAL TABLE observation_terms USING fts5vocab (observation_words, row);
CREATE VIRTUAL TABLE session_terms USING fts5vocab (session_words, row);
PRAGMA user_version = 4;
