-- A billing run is visible and resumable: one row per account period says how far it has come and what keeps it back.

create table billing_run (
  run_id     text primary key,
  -- Null: all organizations.
  org_id     text references organization (org_id),
  -- Every period that is due at this moment belongs to the run.
  as_of      timestamptz not null,
  collected_at timestamptz,
  closed_at  timestamptz,
  created_by text not null,
  created_at timestamptz not null
);

create table billing_run_item (
  org_id           text not null,
  run_id           text not null,
  account_id       text not null,
  period_starts_at timestamptz not null,
  period_ends_at   timestamptz not null,
  -- waiting: not looked at yet, or to be looked at again. blocked: parked with its blockers. issued, nothing: done.
  status           text not null check (status in ('waiting', 'blocked', 'issued', 'nothing')),
  -- The step at which it stands, or at which it was blocked.
  step             text not null check (step in ('collect', 'calculate', 'verify', 'issue', 'settle')),
  blockers         jsonb not null default '[]',
  overrides        jsonb not null default '[]',
  invoice_id       text,
  changed_at       timestamptz not null,
  primary key (org_id, run_id, account_id, period_starts_at),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
create index billing_run_item_open on billing_run_item (run_id, period_starts_at) where status = 'waiting';
create index billing_run_item_of_run on billing_run_item (run_id, status, step);
