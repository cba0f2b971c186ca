-- Who changed what, when and why: one hash chain per organization, and one ("provider") for what belongs to nobody.
-- Append-only. The head is locked by every writer, so numbers have no gaps and a missing last entry is noticed too.

create table audit_head (
  org_id text primary key,
  seq    bigint not null default 0,
  chain  bytea not null
);

create table audit_entry (
  org_id      text not null,
  seq         bigint not null,
  entry_id    text not null,
  at          timestamptz not null,
  actor_kind  text not null,
  actor_id    text not null,
  actor_name  text not null,
  action      text not null,
  target_kind text not null,
  target_id   text not null,
  -- json, not jsonb: the hash covers what was written, in the order it was written.
  before      json,
  after       json,
  reason      text,
  request_id  text,
  chain       bytea not null,
  primary key (org_id, seq)
);
create index audit_entry_by_target on audit_entry (org_id, target_kind, target_id, seq);
