-- Payments of invoices, written once, and the terms that put a price on paying early or late. A late fee is owed by the terms an
-- invoice was issued under, so its per cent stands on the invoice too; the partial index finds the few that have one. New columns
-- without a default: no rewrite.

alter table billing_account
  add column early_discount_percent numeric check (early_discount_percent > 0 and early_discount_percent < 100),
  add column early_discount_days    smallint check (early_discount_days between 1 and 90),
  add column late_fee_percent       numeric check (late_fee_percent > 0 and late_fee_percent <= 10);

alter table invoice add column late_fee_percent numeric;
create index invoice_with_late_fee on invoice (org_id, account_id) where late_fee_percent is not null;

create table payment (
  org_id         text not null,
  payment_id     text not null,
  invoice_id     text not null,
  account_id     text not null,
  currency       text not null,
  amount_minor   bigint not null check (amount_minor > 0),
  -- What of it settled the invoice, what was forgiven for paying early, and what was too much.
  applied_minor  bigint not null check (applied_minor >= 0),
  discount_minor bigint not null check (discount_minor >= 0),
  excess_minor   bigint not null check (excess_minor >= 0),
  received_on    date not null,
  reference      text not null,
  recorded_at    timestamptz not null,
  recorded_by    text not null,
  primary key (org_id, payment_id),
  constraint payment_reference_once unique (org_id, invoice_id, reference),
  check (applied_minor + excess_minor = amount_minor),
  foreign key (org_id, invoice_id) references invoice (org_id, invoice_id)
);
