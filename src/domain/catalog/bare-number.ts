/**
 * A number that stood in a file without quotes, as it was written there. A parser has already turned it into binary
 * floating point; readers of files keep the text instead, so that a refusal can say what to write.
 */
export type BareNumber = { readonly bareNumber: string };

export const bareNumber = (text: string): BareNumber => ({ bareNumber: text });

export const isBareNumber = (value: unknown): value is BareNumber =>
  typeof value === "object" &&
  value !== null &&
  "bareNumber" in value &&
  typeof value.bareNumber === "string" &&
  Object.keys(value).length === 1;
