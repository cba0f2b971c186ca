-- A month that Finance has closed: nothing is dated before this moment any more.
create table ledger_lock (
  org_id       text not null default 'provider',
  locked_until timestamptz not null,
  locked_at    timestamptz not null,
  locked_by    text not null,
  reason       text not null,
  primary key (org_id, locked_until)
);
