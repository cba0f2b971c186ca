-- Who there is: organizations, their projects and the subjects that name them in events, billing accounts, and which
-- account pays for which project since when.
--
-- organization and api_key are shared tables (small, needed before an organization is known). Everything else is owned
-- by an organization and carries org_id first in every key, so that the schema can be distributed by it.

create table organization (
  org_id        text primary key,
  slug          text not null,
  name          text not null,
  kind          text not null default 'direct' check (kind in ('direct', 'partner', 'partner_customer')),
  parent_org_id text references organization (org_id),
  status        text not null default 'active' check (status in ('active', 'suspended', 'closed')),
  -- A sandbox organization lives at its own time, which its integrator moves. Null for everybody else.
  test_clock_at timestamptz,
  created_at    timestamptz not null,
  constraint organization_slug_once unique (slug)
);

create table project (
  org_id     text not null references organization (org_id),
  project_id text not null,
  slug       text not null,
  name       text not null,
  status     text not null default 'active' check (status in ('active', 'closed')),
  created_at timestamptz not null,
  primary key (org_id, project_id),
  constraint project_slug_once_per_organization unique (org_id, slug)
);

-- Other names under which events may speak of a project. A project's id and slug always work and need no row.
create table subject (
  org_id     text not null,
  subject    text not null,
  project_id text not null,
  created_at timestamptz not null,
  primary key (org_id, subject),
  foreign key (org_id, project_id) references project (org_id, project_id)
);

create table billing_account (
  org_id            text not null references organization (org_id),
  account_id        text not null,
  slug              text not null,
  name              text not null,
  currency          text not null,
  time_zone         text not null default 'UTC',
  -- The price book this account buys from. Null: the retail book of its currency.
  price_book        text,
  invoice_day       smallint not null default 1 check (invoice_day between 1 and 28),
  cycle             text not null default 'month' check (cycle in ('month', 'quarter', 'year')),
  net_days          smallint not null default 30 check (net_days between 0 and 90),
  status            text not null default 'ready' check (status in ('provisioning', 'ready', 'suspended', 'archived')),
  parent_account_id text,
  created_at        timestamptz not null,
  primary key (org_id, account_id),
  constraint billing_account_slug_once_per_organization unique (org_id, slug),
  foreign key (org_id, parent_account_id) references billing_account (org_id, account_id)
);

-- A binding lasts until the next one of the same project starts: no end is stored, so intervals cannot overlap and, from
-- the first binding on, leave no gap. account_id null means that nobody pays from then on.
create table binding (
  org_id         text not null,
  binding_id     text not null,
  project_id     text not null,
  account_id     text,
  effective_from timestamptz not null,
  reason         text not null default '',
  created_by     text not null,
  created_at     timestamptz not null,
  primary key (org_id, binding_id),
  constraint binding_starts_once_per_project unique (org_id, project_id, effective_from),
  foreign key (org_id, project_id) references project (org_id, project_id),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);

-- The secret is shown once and kept as an HMAC. org_id null: a key of the provider, good for every organization.
create table api_key (
  key_id       text primary key,
  org_id       text references organization (org_id),
  project_id   text,
  name         text not null,
  secret_hmac  bytea not null,
  last4        text not null,
  roles        text[] not null default '{}',
  permissions  text[] not null default '{}',
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  created_by   text not null,
  created_at   timestamptz not null,
  constraint api_key_secret_once unique (secret_hmac)
);

-- The answer already given to a request with an Idempotency-Key, so that a retry gets the same one. `claim` names the
-- attempt that may answer: the answer is written in the transaction of the effect, and only by the attempt that still
-- holds the claim, so a request that was overtaken while it slept cannot take effect a second time.
create table idempotency_key (
  scope        text not null,
  key          text not null,
  request_hash bytea not null,
  claim        text not null,
  claimed_at   timestamptz not null,
  status       smallint,
  headers      text,
  response     text,
  primary key (scope, key)
);
create index idempotency_key_by_age on idempotency_key (claimed_at);
