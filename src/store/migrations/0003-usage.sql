-- Raw usage, append-only, and what is derived from it in the same transaction.

-- One row per billing account: the account's order of events and the tip of its hash chain. Everything that must not race
-- for one account hangs on this row. Whoever writes an account's usage, or changes what its usage draws from (grants,
-- reservations), holds this row and counts version up; ingest keeps what it read of an account for as long as version
-- is the one it knows. Rows are written again all the time, hence the free space.
create table usage_head (
  org_id     text not null,
  account_id text not null,
  version    bigint not null default 0,
  last_seq   bigint not null default 0,
  chain      bytea not null,
  primary key (org_id, account_id)
) with (fillfactor = 50);

-- event_key is the first 128 bits of SHA-256 over source, NUL and id: the identity (organization, source, id), narrow
-- enough to be unique for ever without a window. seq counts the account's events from 1 without gaps. chain links each
-- event of an account to the one before it (domain/usage/chain.ts). data is the text of the event's data as JSON; a
-- correction is an event like any other, with the key of the event it corrects in corrects.
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
create index usage_event_by_corrected on usage_event (org_id, corrects) where corrects is not null;

-- Events that were understood but could not be attributed or measured: kept, visible, replayable. Resolved when they
-- were counted after all (resolution accepted), when the same event had been counted already (duplicate), or when they
-- turned out to be wrong (rejected, conflict).
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

-- Events refused because their identity is taken by other content: the log of those refusals, once per content.
create table usage_conflict (
  org_id      text not null,
  event_key   uuid not null,
  digest      bytea not null,
  event       json not null,
  received_at timestamptz not null,
  primary key (org_id, event_key, digest)
);

-- Usage per account, project, meter, dimension values and quarter of an hour (UTC): the smallest window from which every
-- hour, day and month of every zone, with offsets of :30 and :45, can be put together. total is the sum of quantities (for
-- count and unique: 1 an event, −1 a correction). lowest, highest and latest are kept for meters that read levels, not
-- for count, sum and unique, and leave corrections out: where corrected is true and the meter is not additive, the bucket
-- must be read from the raw events.
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
  corrected   boolean not null default false,
  primary key (org_id, account_id, meter_key, bucket_at, project_id, dimensions)
) with (fillfactor = 60);

-- Counted up by every change of who pays for what: projects, subjects, bindings. Ingest compares it inside the
-- transaction that stores usage, so no event is attributed by what had already changed.
create table directory_version (
  org_id  text primary key,
  version bigint not null
);

-- Whether a name that an organization does not know is another one's project.
create index project_by_id on project (project_id);
