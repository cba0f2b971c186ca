-- A processor tells what became of a charge by the purchase alone: it knows nothing of organizations.
create index purchase_by_id on purchase (purchase_id);
