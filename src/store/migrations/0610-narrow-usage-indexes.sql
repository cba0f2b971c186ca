-- An account belongs to one organization, so the index that finds its events by time need not store the organization. The
-- primary key keeps the organization first, as every key does that is to be distributed by it.
create index usage_event_of_account on usage_event (account_id, time);
drop index usage_event_by_account_and_time;
