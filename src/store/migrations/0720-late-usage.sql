-- Usage that arrived after the invoice of its period and goes another way than the next invoice: one open row for each
-- difference. It is also what a draft remembers such periods by, when nothing new came in for them since.

create table late_usage (
  org_id           text not null,
  late_id          text not null,
  account_id       text not null,
  -- What the difference is of: the cause of the lines that were billed.
  cause            text not null,
  meter_key        text not null,
  sku_code         text not null,
  period_starts_at timestamptz not null,
  period_ends_at   timestamptz not null,
  currency         text not null,
  quantity         numeric not null,
  -- Before tax. Below zero: owed less than was billed.
  amount_minor     bigint not null,
  -- The account's last event that the figure knows.
  seq              bigint not null,
  because          text not null check (because in ('hold', 'own_document')),
  -- waiting: for an approval. due: for its own document. approved: for the next invoice. declined: not billed, unless more
  -- comes. settled: billed, or the difference has gone.
  status           text not null check (status in ('waiting', 'due', 'approved', 'declined', 'settled')),
  noticed_at       timestamptz not null,
  changed_at       timestamptz not null,
  decided_by       text,
  reason           text not null default '',
  document_id      text,
  primary key (org_id, late_id),
  foreign key (org_id, account_id) references billing_account (org_id, account_id),
  foreign key (org_id, document_id) references invoice (org_id, invoice_id)
);
create unique index late_usage_open_once on late_usage (org_id, account_id, cause) where status <> 'settled';
create index late_usage_by_time on late_usage (org_id, noticed_at, late_id);

alter table billing_account drop constraint billing_account_late_usage_check;
alter table billing_account add constraint billing_account_late_usage_check
  check (late_usage in ('next_invoice', 'credit_note', 'own_document', 'hold'));
