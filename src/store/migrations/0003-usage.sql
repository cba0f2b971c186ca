-- Raw usage, append-only, and what is derived from it in the same transaction.

-- One row per billing account, locked by the committer that writes its usage: the account's order of events, the tip of
-- its hash chain. Everything that must not race for one account hangs on this row.
create table usage_head (
  org_id     text not null,
  account_id text not null,
  last_seq   bigint not null default 0,
  chain      bytea not null,
  primary key (org_id, account_id)
);

-- event_key is the first 128 bits of SHA-256 over source and id: the identity (organization, source, id), narrow enough
-- to be unique for ever without a window. chain links each event of an account to the one before it.
create table usage_event (
  org_id      text not null,
  event_key   uuid not null,
  account_id  text not null,
  seq         bigint not null,
  project_id  text not null,
  type        text not null,
  source      text not null,
  id          text not null,
  subject     text not null,
  time        timestamptz not null,
  received_at timestamptz not null,
  data        json not null,
  corrects    uuid,
  chain       bytea not null,
  constraint usage_event_once primary key (org_id, event_key)
);
create index usage_event_by_account_and_time on usage_event (org_id, account_id, time);

-- Events that were understood but could not be attributed or measured: kept, visible, replayable.
create table usage_quarantine (
  org_id      text not null,
  event_key   uuid not null,
  reason      text not null,
  detail      text not null,
  event       json not null,
  received_at timestamptz not null,
  resolved_at timestamptz,
  resolution  text,
  primary key (org_id, event_key)
);
create index usage_quarantine_open on usage_quarantine (org_id, reason, received_at) where resolved_at is null;

-- Usage per account, project, meter, dimension values and quarter of an hour (UTC): the smallest window from which every
-- hour, day and month of every zone, with offsets of :30 and :45, can be put together.
create table usage_rollup (
  org_id      text not null,
  account_id  text not null,
  meter_key   text not null,
  bucket_at   timestamptz not null,
  project_id  text not null,
  dimensions  text not null,
  event_count bigint not null,
  total       numeric not null,
  lowest      numeric,
  highest     numeric,
  latest      numeric,
  latest_at   timestamptz,
  latest_seq  bigint,
  primary key (org_id, account_id, meter_key, bucket_at, project_id, dimensions)
);
