import { checkVAT, countries } from "jsvat";

export type IdCheck = {
  readonly isValid: boolean;
  readonly evidence: {
    readonly country: string | null;
    readonly format: boolean;
    readonly check_digit: boolean;
    readonly checker: string;
  };
};

/**
 * Check the form and the check digit of a tax id of the European Union and some neighbours. It says nothing about whether the
 * id is registered: that is the official service's answer, which an adapter may add with its own evidence.
 */
export function checkTaxId(value: string): IdCheck {
  const found = checkVAT(value, countries);
  return {
    isValid: found.isValid,
    evidence: {
      country: found.country?.isoCode.short ?? null,
      format: found.isValidFormat ?? false,
      check_digit: found.isValid,
      checker: "jsvat 2.5.4",
    },
  };
}
