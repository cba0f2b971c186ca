-- Workers of a billing run take items in this order: without it in the index, each batch sorted all that was still waiting.
drop index billing_run_item_open;
create index billing_run_item_open on billing_run_item (run_id, period_starts_at, org_id, account_id)
  where status = 'waiting';
