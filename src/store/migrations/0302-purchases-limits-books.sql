-- What stands around grants: how they are bought, what is held before work of unknown size, technical limits, the
-- provider's own stock, and the books.

create table purchase (
  org_id            text not null,
  purchase_id       text not null,
  account_id        text not null,
  kind              text not null check (kind in ('batch', 'upgrade', 'auto_top_up')),
  sku_code          text not null,
  batch_count       integer not null check (batch_count > 0),
  pool              text not null,
  units             numeric not null,
  currency          text not null,
  total_minor       bigint not null check (total_minor >= 0),
  settlement        text not null check (settlement in ('card', 'invoice')),
  -- pending: the gateway has not been heard yet; asking it again with the same key tells.
  status            text not null check (status in ('pending', 'paid', 'invoiced', 'declined')),
  payment_reference text,
  failure           text,
  upgraded_grant_id text,
  detail            jsonb not null,
  -- What the buyer calls this purchase: the same request again finds it instead of buying again.
  request_key       text not null,
  created_at        timestamptz not null,
  settled_at        timestamptz,
  primary key (org_id, purchase_id),
  constraint purchase_once_per_request unique (org_id, request_key),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
create index purchase_by_account on purchase (org_id, account_id, purchase_id);
create index purchase_pending on purchase (created_at) where status = 'pending';

create table top_up_rule (
  org_id           text not null,
  account_id       text not null,
  pool             text not null,
  sku_code         text not null,
  enabled          boolean not null,
  trigger_at       numeric not null check (trigger_at >= 0),
  per_month_max    integer not null check (per_month_max between 0 and 1000),
  failures_in_row  integer not null default 0,
  last_failure_at  timestamptz,
  last_notice      jsonb,
  primary key (org_id, account_id, pool)
);

-- Held before the work: units of a pool, room in a quota, or both. A hold ends by itself at expires_at.
create table reservation (
  org_id         text not null,
  reservation_id text not null,
  account_id     text not null,
  feature        text not null,
  quantity       numeric not null check (quantity >= 0),
  -- The part that prepaid units cover; the rest is overage that was allowed.
  held_units     numeric not null check (held_units >= 0),
  quota_window   timestamptz,
  held_minor     bigint not null default 0,
  committed      numeric,
  status         text not null check (status in ('held', 'committed', 'released')),
  expires_at     timestamptz not null,
  created_at     timestamptz not null,
  ended_at       timestamptz,
  primary key (org_id, reservation_id)
);
create index reservation_holding on reservation (org_id, account_id, feature, expires_at) where status = 'held';

-- A technical ceiling of an account that no plan gives, and what was used of any ceiling in a window.
create table quota (
  org_id      text not null,
  account_id  text not null,
  quota_key   text not null,
  ceiling     numeric not null,
  quota_window text not null check (quota_window in ('minute', 'hour', 'day', 'month', 'none')),
  enforcement text not null check (enforcement in ('hard', 'soft')),
  burst       numeric not null default 0,
  soft_up_to  numeric,
  grace_hours integer not null default 24,
  primary key (org_id, account_id, quota_key)
);
create table quota_use (
  org_id      text not null,
  account_id  text not null,
  quota_key   text not null,
  -- '-infinity' for levels, which have no window.
  starts_at   timestamptz not null,
  used        numeric not null check (used >= 0),
  exceeded_at timestamptz,
  primary key (org_id, account_id, quota_key, starts_at)
);
create table quota_request (
  org_id       text not null,
  request_id   text not null,
  account_id   text not null,
  quota_key    text not null,
  ceiling      numeric not null,
  starts_at    timestamptz not null,
  ends_at      timestamptz not null,
  reason       text not null,
  status       text not null check (status in ('requested', 'approved', 'declined')),
  requested_by text not null,
  requested_at timestamptz not null,
  decided_by   text,
  decided_at   timestamptz,
  primary key (org_id, request_id),
  constraint quota_request_ends_after_start check (starts_at < ends_at),
  constraint quota_request_has_two_people check (decided_by is null or decided_by <> requested_by)
);
create index quota_request_by_key on quota_request (org_id, account_id, quota_key, starts_at);

-- Money limits of an account: what it may spend per month, whether it may owe at all, and what it is entitled to besides
-- what plans and batches give.
create table spending_limit (
  org_id      text not null,
  account_id  text not null,
  cap_minor   bigint check (cap_minor >= 0),
  credit_only boolean not null default false,
  primary key (org_id, account_id)
);
create table feature_grant (
  org_id     text not null,
  account_id text not null,
  feature    text not null,
  allowed    boolean not null,
  primary key (org_id, account_id, feature)
);

-- The provider's own purchases, for cost and stock. Shared, like the catalog.
create table supply_lot (
  lot_id     text primary key,
  pool       text not null,
  supplier   text not null,
  size       numeric not null check (size > 0),
  currency   text not null,
  cost_minor bigint not null check (cost_minor >= 0),
  bought_at  timestamptz not null,
  created_at timestamptz not null
);
create index supply_lot_by_pool on supply_lot (pool, bought_at, lot_id);

-- The books. Append-only; a mistake is reversed, never edited. The postings of a transaction sum to zero per currency and
-- per family of units (checked before they are written, and by tallyline verify).
create table ledger_transaction (
  org_id         text not null,
  transaction_id text not null,
  cause          text not null,
  at             timestamptz not null,
  description    text not null,
  policy_version integer not null,
  reverses       text,
  recorded_at    timestamptz not null,
  primary key (org_id, transaction_id),
  constraint ledger_transaction_once_per_cause unique (org_id, cause)
);
create index ledger_transaction_by_time on ledger_transaction (org_id, at, transaction_id);

create table ledger_posting (
  org_id         text not null,
  transaction_id text not null,
  posting_no     smallint not null,
  account        text not null,
  -- Money in minor units of a currency, or units of a family: one or the other.
  currency       text,
  amount_minor   bigint,
  family         text,
  units          numeric,
  primary key (org_id, transaction_id, posting_no),
  foreign key (org_id, transaction_id) references ledger_transaction (org_id, transaction_id),
  constraint ledger_posting_money_or_units check ((amount_minor is null) = (currency is null)
    and (units is null) = (family is null) and (amount_minor is null) <> (units is null))
);
create index ledger_posting_by_account on ledger_posting (org_id, account);
