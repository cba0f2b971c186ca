-- What a meter's figures can be read from, its earlier forms, and how far a new meter has been counted back.

-- rolled_up: usage_rollup holds everything this meter measures. Until then figures are read from the events themselves.
-- since_version: the catalog version at which the meter came. backfill_mark: where the order of transactions stood when the
-- back-fill of the present revision began; "listed" once it has listed the accounts.
alter table meter
  add column revision      integer not null default 1,
  add column since_version bigint not null default 0,
  add column rolled_up     boolean not null default false,
  add column backfill_mark text;

create table meter_revision (
  meter_id   text not null references meter (meter_id),
  revision   integer not null,
  definition jsonb not null,
  changed_at timestamptz not null,
  primary key (meter_id, revision)
);

-- The accounts that a back-fill has to count, listed when it begins. Of one account's events, those up to upto_seq are
-- counted by the back-fill (null: the line is not drawn yet), later ones were counted when they came. The back-fill walks
-- them by event time and has done everything before done_until.
create table meter_backfill (
  org_id     text not null,
  account_id text not null,
  meter_key  text not null,
  upto_seq   bigint,
  done_until timestamptz not null default '-infinity',
  finished   boolean not null default false,
  primary key (org_id, account_id, meter_key)
);

-- Corrections are few, and readings that are not sums have to know them.
create index usage_event_corrections on usage_event (org_id, account_id) where corrects is not null;
