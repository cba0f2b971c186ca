import type { BillingAccount } from "./account.ts";

const recipientsMax = 10;

/**
 * Who gets an account's documents by mail: the accounts-payable address, then every billing contact, each address once,
 * ten at most. Empty when the account names nobody.
 */
export function documentRecipients({
  apEmail,
  contacts,
}: Pick<BillingAccount, "apEmail" | "contacts">): string[] {
  const named = [
    ...(apEmail ? [apEmail] : []),
    ...contacts.filter((contact) => contact.role === "billing").map((contact) => contact.email),
  ];
  const seen = new Set<string>();
  return named
    .filter((address) => {
      const key = address.toLowerCase();
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .slice(0, recipientsMax);
}
