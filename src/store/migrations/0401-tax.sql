-- Who issues documents, which taxes are in force where, and by which recorded rates amounts change currency. Small tables, shared
-- by all organizations; what belongs to one buyer (certificates, checks of a tax id) is keyed by its organization.

create table legal_entity (
  code        text primary key,
  definition  jsonb not null,
  updated_at  timestamptz not null
);

-- Dated: a rate is never edited, it ends and another one begins.
create table tax_rate (
  country       text not null,
  region        text not null default '',
  product_class text not null default 'standard',
  name          text not null,
  percent       numeric not null check (percent >= 0 and percent < 100),
  from_on       date not null,
  until_on      date check (until_on > from_on),
  primary key (country, region, product_class, name, from_on)
);

create table tax_certificate (
  org_id      text not null,
  account_id  text not null,
  country     text not null,
  certificate text not null,
  from_on     date not null,
  until_on    date check (until_on > from_on),
  created_at  timestamptz not null,
  primary key (org_id, account_id, country, certificate),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);

-- Every check of a buyer's tax id with its answer as evidence; the newest one counts.
create table tax_id_check (
  org_id     text not null,
  account_id text not null,
  tax_id     text not null,
  checked_at timestamptz not null,
  is_valid   boolean not null,
  method     text not null,
  evidence   jsonb not null,
  primary key (org_id, account_id, tax_id, checked_at),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);

create table fx_rate (
  from_currency text not null,
  to_currency   text not null,
  on_day        date not null,
  rate          numeric not null check (rate > 0),
  source        text not null,
  recorded_at   timestamptz not null,
  primary key (from_currency, to_currency, on_day, source)
);
