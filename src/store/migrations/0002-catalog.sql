-- What is measured and what it costs. Catalog tables are small and shared by all organizations. Definitions are the
-- validated documents themselves; the columns beside them are what queries look for.

create table meter (
  meter_id   text primary key,
  key        text not null,
  event_type text not null,
  status     text not null default 'published' check (status in ('draft', 'published', 'deprecated', 'retired')),
  definition jsonb not null,
  created_at timestamptz not null,
  constraint meter_key_once unique (key)
);
create index meter_by_event_type on meter (event_type);

create table sku (
  sku_id     text primary key,
  code       text not null,
  name       text not null,
  kind       text not null check (kind in ('usage', 'batch', 'recurring', 'one_time', 'feature', 'credit')),
  status     text not null default 'published' check (status in ('draft', 'published', 'deprecated', 'retired')),
  meter_key  text,
  definition jsonb not null,
  created_at timestamptz not null,
  constraint sku_code_once unique (code)
);

create table price_book (
  code       text primary key,
  name       text not null,
  currency   text not null,
  -- Where a SKU has no price in this book, the price of the parent book holds.
  parent     text references price_book (code),
  created_at timestamptz not null
);

-- A published price is never changed: a new one with a later effective_from takes over from it.
create table price (
  price_id       text primary key,
  book           text not null references price_book (code),
  sku_code       text not null references sku (code),
  currency       text not null,
  version        integer not null,
  effective_from timestamptz not null,
  definition     jsonb not null,
  published_by   text not null,
  published_at   timestamptz not null,
  constraint price_starts_once_per_book_and_sku unique (book, sku_code, effective_from),
  constraint price_version_once unique (book, sku_code, version)
);
