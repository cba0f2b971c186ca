-- Prepaid units and money, and everything that ever happened to them. A pool is what grants cover for each other: the
-- key of the meter that the SKU family measures, or a currency.

create table account_grant (
  org_id          text not null,
  grant_id        text not null,
  account_id      text not null,
  pool            text not null,
  denomination    text not null check (denomination in ('units', 'money')),
  sku_code        text,
  origin          text not null check (origin in ('allowance', 'purchase', 'transfer', 'promotion', 'correction')),
  -- The draw order, first to last: draw_rank (0 for allowances), priority, expires_at, unit_cost, created_at, grant_id.
  draw_rank       smallint not null,
  priority        smallint not null,
  valid_from      timestamptz not null,
  -- The end that is not reached any more; 'infinity' for a grant that never expires.
  expires_at      timestamptz not null,
  unit_cost       numeric not null default 0 check (unit_cost >= 0),
  currency        text,
  paid_minor      bigint check (paid_minor >= 0),
  size            numeric not null check (size > 0),
  remaining       numeric not null check (remaining >= 0),
  drawn           numeric not null default 0 check (drawn >= 0),
  expired         numeric not null default 0 check (expired >= 0),
  transferred_out numeric not null default 0 check (transferred_out >= 0),
  corrected       numeric not null default 0,
  -- Kept beside `remaining` so that an index can ask for it without being touched by every draw.
  has_units       boolean not null,
  parent_org_id   text,
  parent_grant_id text,
  purchase_id     text,
  -- Events the account had when this grant began to exist: a replay puts it in at the same place.
  after_seq       bigint not null,
  created_at      timestamptz not null,
  primary key (org_id, grant_id),
  constraint account_grant_validity check (valid_from < expires_at),
  constraint account_grant_adds_up check (size + corrected = remaining + drawn + expired + transferred_out),
  constraint account_grant_has_units check (has_units = (remaining > 0)),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
create index account_grant_in_draw_order
  on account_grant (org_id, account_id, pool, draw_rank, priority, expires_at, unit_cost, created_at, grant_id)
  where has_units;
-- What ends next, and what a late event may still take back.
create index account_grant_by_end on account_grant (org_id, account_id, pool, expires_at);
create index account_grant_to_expire on account_grant (expires_at) where has_units;
-- At most one grant per purchase and piece of it, whatever the retries.
create unique index account_grant_once_per_purchase on account_grant (org_id, purchase_id) where purchase_id is not null;

-- Append-only. Draws are kept per grant and quarter of an hour of usage (bucket_at) over a run of the account's events
-- [from_seq, to_seq]; everything else happens at one instant, after the account's event number from_seq.
create table grant_movement (
  org_id           text not null,
  movement_id      text not null,
  account_id       text not null,
  grant_id         text not null,
  kind             text not null check (kind in ('funded', 'drawn', 'returned', 'expired', 'unexpired',
                                                 'transferred_out', 'transferred_back', 'corrected')),
  -- What it does to `remaining`: below zero for units that leave.
  quantity         numeric not null,
  at               timestamptz not null,
  from_seq         bigint not null,
  to_seq           bigint not null,
  event_count      integer not null default 0,
  related_grant_id text,
  reason           text not null default '',
  recorded_at      timestamptz not null,
  -- The ledger transaction that posted it: the one column that is written later, once.
  posted_in        text,
  primary key (org_id, movement_id),
  foreign key (org_id, grant_id) references account_grant (org_id, grant_id)
);
create index grant_movement_by_grant on grant_movement (org_id, grant_id, movement_id);
create index grant_movement_by_account on grant_movement (org_id, account_id, movement_id);
create index grant_movement_to_post on grant_movement (org_id, account_id, movement_id) where posted_in is null;
