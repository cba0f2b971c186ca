import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decimal, sumOf } from "../../src/kit/decimal.ts";
import { formatMoney, sumMoney, toMoney } from "../../src/kit/money.ts";
import { currency } from "../../src/kit/currency.ts";
import { rate, type Usage } from "../../src/domain/rating/index.ts";
import { sharedData } from "./cases.ts";
import { exactly, of, priceOf, rated, same } from "./prices.ts";

// Real price lists: clouds with graduated tiers, and what language models cost by kind of token.

/** JSON with every number as the text it is written as, so that no price passes through binary floating point. */
const exactJson = (text: string): unknown =>
  JSON.parse(
    text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?/g, (token) =>
      token.startsWith('"') ? token : `"${token}"`,
    ),
  );

/** A suite that is skipped is still read: it finds nothing then. */
const textOf = (file: string | undefined, otherwise: string) =>
  file ? readFileSync(file, "utf8") : otherwise;

type TierCase = {
  readonly resource: string;
  readonly component: string;
  readonly quantity: string;
  readonly tiers: readonly { quantity: string; amount: string; unit_price: string }[];
  readonly total: string;
};

const infracost = sharedData("pricing/infracost_tier_cases.dev.json");

describe.runIf(infracost)("graduated price lists of clouds", () => {
  const { cases } = JSON.parse(textOf(infracost, '{"cases":[]}')) as { cases: TierCase[] };

  test("there are thirty", () => expect(cases.length).toBe(30));
  test.each(cases)("$resource: $quantity of $component", (one) => {
    // The lists say how much falls into each tier; a tier ends where those add up to.
    const tiers = one.tiers.map((tier, index) => ({
      up_to:
        index === one.tiers.length - 1
          ? null
          : sumOf(one.tiers.slice(0, index + 1).map((t) => decimal(t.quantity))).toFixed(),
      unit_amount: tier.unit_price,
    }));
    const { segments } = rated({ model: "graduated", tiers }, of(one.quantity));
    const usd = currency("USD");
    const printed = segments.map((segment) => toMoney(segment.amount, usd));
    expect(segments.map((segment) => segment.quantity.toFixed())).toEqual(
      one.tiers.map((tier) => tier.quantity),
    );
    expect(printed.map(formatMoney)).toEqual(one.tiers.map((tier) => tier.amount));
    expect(formatMoney(sumMoney(usd, printed))).toBe(one.total);
  });
});

type Rate = string | { readonly base: string; readonly tiers: { start: string; price: string }[] };
type Rates = Readonly<Record<string, Rate>>;
type Match = Readonly<Record<string, string | readonly Match[]>>;
type Model = { readonly id: string; readonly match: Match; readonly prices: Rates };
type Provider = {
  readonly id: string;
  readonly models: readonly Model[];
  readonly fallback_model_providers?: readonly string[];
};
type LlmCase = {
  readonly case: number;
  readonly provider: string;
  readonly api_flavor: string;
  readonly model: string;
  readonly usage: Readonly<Record<string, number>>;
  readonly input_price_usd: string;
  readonly output_price_usd: string;
  readonly verified?: boolean;
};

function matches(match: Match, model: string): boolean {
  return Object.entries(match).some(([how, what]) => {
    if (typeof what !== "string") return what.some((one) => matches(one, model));
    if (how === "starts_with") return model.startsWith(what);
    if (how === "contains") return model.includes(what);
    return model === what;
  });
}

function modelOf(providers: readonly Provider[], id: string, model: string): Model | undefined {
  const provider = providers.find((one) => one.id === id);
  return (
    provider?.models.find((one) => matches(one.match, model)) ??
    provider?.fallback_model_providers?.map((next) => modelOf(providers, next, model)).find(Boolean)
  );
}

/** One price for all kinds of tokens: per million, by kind and by how long the context was. */
function priceOfModel(rates: Rates) {
  const cells = Object.entries(rates)
    .filter(([kind]) => kind.endsWith("_mtok"))
    .flatMap(([kind, rateOfKind]) =>
      typeof rateOfKind === "string"
        ? [{ match: { kind }, unit_amount: rateOfKind }]
        : [
            { match: { kind }, unit_amount: rateOfKind.base },
            ...rateOfKind.tiers.map((tier) => ({
              match: { kind, context: `over ${tier.start}` },
              unit_amount: tier.price,
            })),
          ],
    );
  return priceOf({
    model: "matrix",
    dimensions: ["kind", "context"],
    cells,
    default_unit_amount: "0",
    conversion: { operation: "divide", factor: 1_000_000 },
  });
}

/** Tokens by kind. Cached tokens are part of the input; where the list has no price for them, they are plain input. */
function tokensOf(usage: Readonly<Record<string, number>>, rates: Rates) {
  const input = usage.input_tokens ?? 0;
  const cached = ["cache_read", "cache_write"]
    .filter((kind) => rates[`${kind}_mtok`])
    .map((kind): [string, number] => [`${kind}_mtok`, usage[`${kind}_tokens`] ?? 0]);
  const plain = input - cached.reduce((sum, [, tokens]) => sum + tokens, 0);
  const context = contextOf(input, rates);
  const rows = (kinds: readonly [string, number][]): Usage[] =>
    kinds.map(([kind, tokens]) => of(tokens, { dimensions: { kind, ...context } }));
  return {
    input: rows([["input_mtok", plain], ...cached]),
    output: rows([["output_mtok", usage.output_tokens ?? 0]]),
  };
}

function contextOf(input: number, rates: Rates): Record<string, string> {
  const starts = Object.values(rates).flatMap((one) =>
    typeof one === "string" ? [] : one.tiers.map((tier) => tier.start),
  );
  const passed = starts
    .filter((start) => input > Number(start))
    .toSorted((a, b) => Number(b) - Number(a));
  return passed[0] ? { context: `over ${passed[0]}` } : {};
}

const catalogue = sharedData("pricing/genai_prices_data_slim.json");
const usages = sharedData("pricing/genai_prices_cases.dev.json");

describe.runIf(catalogue && usages)("what calls of language models cost", () => {
  const providers = exactJson(textOf(catalogue, "[]")) as Provider[];
  const all = JSON.parse(textOf(usages, '{"cases":[]}')) as { cases: LlmCase[] };
  const verified = all.cases.filter((one) => one.verified);

  test("there are 366", () => expect(verified.length).toBe(366));
  test.each(verified)("$provider $api_flavor $model (case $case)", (one) => {
    const model = modelOf(providers, one.provider, one.model);
    if (!model) throw new Error(`${one.provider} has no ${one.model}`);
    const price = priceOfModel(model.prices);
    const { input, output } = tokensOf(one.usage, model.prices);
    expect(exactly(rate(price, input))).toBe(same(one.input_price_usd));
    expect(exactly(rate(price, output))).toBe(same(one.output_price_usd));
  });
});
