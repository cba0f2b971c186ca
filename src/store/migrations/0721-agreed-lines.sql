-- agreed: owed more by agreement, on a debit note. Like a concession it says nothing about usage, so that no later document
-- takes it for something that was charged. Widening a check: the table is read once, nothing is rewritten.
alter table invoice_line drop constraint invoice_line_basis_check;
alter table invoice_line add constraint invoice_line_basis_check
  check (basis in ('charge', 'restatement', 'concession', 'agreed'));
