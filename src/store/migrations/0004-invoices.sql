-- Issued documents. content is the whole document as it was issued; content_hash proves that it never changed.

create table invoice_series (
  legal_entity text not null,
  series       text not null,
  last_number  bigint not null default 0,
  primary key (legal_entity, series)
);

create table invoice (
  org_id           text not null,
  invoice_id       text not null,
  account_id       text not null,
  kind             text not null default 'invoice' check (kind in ('invoice', 'credit_note', 'debit_note')),
  status           text not null check (status in ('draft', 'issued', 'paid', 'past_due', 'uncollectible', 'void')),
  legal_entity     text not null,
  number           text,
  currency         text not null,
  period_starts_at timestamptz not null,
  period_ends_at   timestamptz not null,
  subtotal_minor   bigint not null,
  tax_minor        bigint not null default 0,
  total_minor      bigint not null,
  due_on           date,
  pipeline_version integer not null,
  watermark        jsonb not null default '{}',
  content          jsonb not null,
  content_hash     bytea,
  created_at       timestamptz not null,
  issued_at        timestamptz,
  primary key (org_id, invoice_id),
  foreign key (org_id, account_id) references billing_account (org_id, account_id)
);
-- One periodic invoice per account and period that is not void.
create unique index invoice_once_per_account_and_period
  on invoice (org_id, account_id, period_starts_at) where kind = 'invoice' and status <> 'void';

create table invoice_line (
  org_id     text not null,
  invoice_id text not null,
  line_no    integer not null,
  cause      text not null,
  sku_code   text not null,
  quantity   numeric not null,
  unrounded  numeric not null,
  amount_minor bigint not null,
  starts_at  timestamptz not null,
  ends_at    timestamptz not null,
  detail     jsonb not null,
  primary key (org_id, invoice_id, line_no),
  foreign key (org_id, invoice_id) references invoice (org_id, invoice_id)
);
