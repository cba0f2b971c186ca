-- Services, plans and who sees what; subscriptions as timelines.
--
-- Catalog tables are small and shared. A published plan version is written once, like a price; drafts stand apart, so that
-- the role that serves requests cannot edit what people have subscribed to.

create table service (
  key        text primary key,
  definition jsonb not null,
  created_at timestamptz not null
);

create table plan (
  key          text primary key,
  product_line text not null,
  definition   jsonb not null,
  created_at   timestamptz not null
);

create table plan_version (
  plan           text not null references plan (key),
  version        integer not null check (version > 0),
  effective_from timestamptz not null,
  definition     jsonb not null,
  published_by   text not null,
  published_at   timestamptz not null,
  primary key (plan, version)
);

create table plan_draft (
  plan       text not null references plan (key),
  version    integer not null check (version > 0),
  definition jsonb not null,
  saved_at   timestamptz not null,
  primary key (plan, version)
);

-- The warnings that the author of a price has seen and confirmed.
create table price_confirmation (
  price_id text not null references price (price_id),
  warning  text not null,
  primary key (price_id, warning)
);

-- A restricted SKU or plan is seen by these organizations and those below them. organization is an id or a slug.
create table catalog_assignment (
  kind         text not null check (kind in ('sku', 'plan')),
  key          text not null,
  organization text not null,
  created_at   timestamptz not null,
  primary key (kind, key, organization)
);

create table catalog_setting (
  key        text primary key,
  definition jsonb not null
);

-- Catalog changes that wait for a second person.
create table catalog_proposal (
  proposal_id text primary key,
  status      text not null default 'open' check (status in ('open', 'approved', 'rejected')),
  files       json not null,
  author      text not null,
  reason      text not null default '',
  decided_by  text,
  created_at  timestamptz not null,
  decided_at  timestamptz,
  constraint catalog_proposal_author_is_not_approver check (status <> 'approved' or decided_by <> author)
);

-- The timeline as it stands now; every earlier one is in subscription_change. closed_at is set when it has ended.
create table subscription (
  org_id          text not null,
  subscription_id text not null,
  account_id      text not null,
  product_line    text not null,
  timeline        jsonb not null,
  revision        integer not null default 1,
  starts_at       timestamptz not null,
  closed_at       timestamptz,
  created_at      timestamptz not null,
  primary key (org_id, subscription_id),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
-- What makes a double subscribe impossible, however many ask at once.
create unique index subscription_once_per_account_and_product_line
  on subscription (org_id, account_id, product_line) where closed_at is null;
create index subscription_by_account on subscription (org_id, account_id, subscription_id);

-- Append-only: who changed what when, with the timeline that came of it and the money it moved.
create table subscription_change (
  org_id          text not null,
  subscription_id text not null,
  revision        integer not null,
  kind            text not null,
  request         jsonb not null,
  timeline        jsonb not null,
  effect          jsonb not null,
  effective_at    timestamptz not null,
  changed_by      text not null,
  changed_at      timestamptz not null,
  primary key (org_id, subscription_id, revision),
  foreign key (org_id, subscription_id) references subscription (org_id, subscription_id)
);
