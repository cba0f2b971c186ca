/**
 * Every reason for which the system may say no: a stable code, a title for people, and what to do about it. The HTTP
 * status of each stands in `api/problems.ts`; a test keeps the two and the reference page in step. Keep sorted by code.
 */
export const refusals = {
  account_not_found: {
    title: "No such billing account",
    advice: "Check the id or slug, and that it belongs to this organization.",
  },
  organization_not_found: {
    title: "No such organization",
    advice: "Check the id or slug, and that your key may see it.",
  },
} as const satisfies Record<string, { readonly title: string; readonly advice: string }>;

export type RefusalCode = keyof typeof refusals;
