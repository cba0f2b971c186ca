/**
 * ISO 4217: the currencies in use and how many digits their minor unit has.
 *
 * A table of our own because the platform's locale data is wrong for at least sixteen of them (it gives the digits people
 * see in shops, not the digits of the standard). Source: ISO 4217 list one, with the amendments up to 2026.
 */
const minorUnits = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  2:
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP " +
    "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK " +
    "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO " +
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS " +
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST " +
    "XAD XCD XCG YER ZAR ZMW ZWG",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
} as const;

const digitsByCode = new Map<string, number>(
  Object.entries(minorUnits).flatMap(([digits, codes]) =>
    codes.split(" ").map((code): [string, number] => [code, Number(digits)]),
  ),
);

declare const currencyBrand: unique symbol;
/** An ISO 4217 code that the table knows. */
export type Currency = string & { readonly [currencyBrand]: never };

/** Whether the text is the code of a currency in use. */
export function isCurrency(code: string): code is Currency {
  return digitsByCode.has(code);
}

/** Read a code; throws on one that ISO 4217 does not list as in use. */
export function currency(code: string): Currency {
  if (!isCurrency(code))
    throw new RangeError(`"${code}" is not an ISO 4217 currency code in use, such as USD or EUR`);
  return code;
}

/** Digits after the point in the currency's minor unit: 2 for USD, 0 for JPY, 3 for KWD. */
export function minorDigits(code: Currency): number {
  const digits = digitsByCode.get(code);
  if (digits === undefined) throw new RangeError(`unknown currency ${code}`);
  return digits;
}

/** Every code we accept, sorted. */
export const currencyCodes: readonly Currency[] = [...digitsByCode.keys()].toSorted() as Currency[];
