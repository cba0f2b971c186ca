import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { formatDecimal } from "../../kit/decimal.ts";
import { instant } from "../../kit/time.ts";
import { type Catalog, emptyCatalog } from "./catalog.ts";
import { diffCatalogs, isSettled, refusalsIn, renderDiff } from "./diff.ts";
import { versionInForce } from "./plan.ts";
import { type CatalogFile, readCatalog } from "./read-catalog.ts";
import { priceInForce } from "./resolve.ts";
import { writeCatalog } from "./write-catalog.ts";

const now = instant("2025-01-15T00:00:00Z");
const folder = fileURLToPath(new URL("../../../examples/catalog/", import.meta.url));
const example: CatalogFile[] = readdirSync(folder)
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => ({ name, document: parse(readFileSync(`${folder}${name}`, "utf8")) as unknown }));

const sound = (files: readonly CatalogFile[]): Catalog => {
  const { catalog, faults } = readCatalog(files);
  expect(faults ?? []).toEqual([]);
  return catalog ?? emptyCatalog;
};

// A catalog as small as a catalog can be, to be spoilt in one place by each case.
const small = () => ({
  meters: [
    { key: "calls", event_type: "call", aggregation: "sum", unit: "call", dimensions: ["region"] },
  ],
  skus: [
    { code: "CALLS", kind: "usage", meter: "calls" },
    { code: "BASE", kind: "recurring" },
  ],
  price_books: [{ code: "retail-usd", currency: "USD" }],
  prices: [
    { book: "retail-usd", sku: "CALLS", currency: "USD", model: "per_unit", unit_amount: "0.06" },
  ] as Record<string, unknown>[],
  plans: [
    {
      key: "basic",
      versions: [{ version: 1, fees: [{ sku: "BASE", amounts: { USD: "50.00" } }] }],
    },
  ] as Record<string, unknown>[],
});
type Small = ReturnType<typeof small> & Record<string, unknown>;
const faultsOf = (spoil: (document: Small) => void): string[] => {
  const document = small() as Small;
  spoil(document);
  const { faults } = readCatalog([{ name: "c.yaml", document }]);
  return (faults ?? []).map((fault) => `${fault.file}#${fault.pointer} ${fault.detail}`);
};
const tiers = (...list: unknown[]) => ({
  book: "retail-usd",
  sku: "CALLS",
  currency: "USD",
  model: "graduated",
  tiers: list,
});
const cells = (...list: unknown[]) => ({
  book: "retail-usd",
  sku: "CALLS",
  currency: "USD",
  model: "matrix",
  dimensions: ["region"],
  cells: list,
  default_unit_amount: "0.01",
});
const perCall = (currency: string, amount: string) => ({
  model: "per_unit",
  currency,
  unit_amount: amount,
});
const planPriced = (
  prices: readonly object[],
  usage: object = {},
  amounts: object = { USD: "50.00" },
) => ({
  key: "basic",
  versions: [
    { version: 1, fees: [{ sku: "BASE", amounts }], usage: [{ sku: "CALLS", ...usage, prices }] },
  ],
});
const batch =
  (amount: string, rest: object = {}) =>
  (document: Small) => {
    document.skus.push({
      code: "CALLS-1000",
      kind: "batch",
      meter: "calls",
      units: "1000",
      validity_days: 30,
    } as never);
    document.prices.push({
      book: "retail-usd",
      sku: "CALLS-1000",
      currency: "USD",
      model: "flat_fee",
      amount,
      ...rest,
    });
  };

describe("the example catalog", () => {
  test("is sound, and reads back from what is written of it", () => {
    const catalog = sound(example);
    expect(writeCatalog(sound(writeCatalog(catalog)))).toEqual(writeCatalog(catalog));
    expect(isSettled(diffCatalogs(catalog, sound(writeCatalog(catalog)), now))).toBe(true);
  });

  test("one SKU costs what the buyer's book says, and says how that was found", () => {
    const catalog = sound(example);
    const found = (book: string, sku: string) => {
      const price = priceInForce(catalog, book, sku, now);
      if (!price) return undefined;
      const { price: money } = price.entry;
      const amount =
        money.model === "flat_fee"
          ? money.amount
          : money.model === "per_unit"
            ? money.unitAmount
            : undefined;
      return [amount && formatDecimal(amount), money.currency, ...price.path];
    };
    expect(found("retail-usd", "USAGE-SMS-1000")?.slice(0, 2)).toEqual(["40", "USD"]);
    expect(found("globex-usd", "USAGE-SMS-1000")?.slice(0, 2)).toEqual(["30", "USD"]);
    expect(found("retail-eur", "USAGE-SMS-1000")?.slice(0, 2)).toEqual(["37", "EUR"]);
    expect(found("globex-usd", "USAGE-SMS-OVERAGE")).toEqual([
      "0.06",
      "USD",
      "globex-usd: no price for USAGE-SMS-OVERAGE",
      "retail-usd: USAGE-SMS-OVERAGE since 1970-01-01T00:00:00.000Z",
    ]);
    expect(found("retail-eur", "PLATFORM-API")).toBeUndefined();
  });
});

describe("every mistake that would bill twice or never is refused with its own sentence", () => {
  const mistakes: Record<string, [(document: Small) => void, string]> = {
    "two prices on one meter for the same buyers": [
      (document) => {
        document.skus.push({ code: "CALLS-2", kind: "usage", meter: "calls" });
        document.prices.push({
          book: "retail-usd",
          sku: "CALLS-2",
          currency: "USD",
          model: "per_unit",
          unit_amount: "0.07",
        });
      },
      "buyers from retail-usd would pay for meter calls twice: by CALLS and by CALLS-2",
    ],
    "two prices on one meter in a plan": [
      (document) => {
        document.skus.push({ code: "CALLS-2", kind: "usage", meter: "calls" });
        document["price_books"] = [
          ...document.price_books,
          { code: "retail-eur", currency: "EUR" },
        ];
        document.prices.push({
          book: "retail-eur",
          sku: "CALLS-2",
          currency: "EUR",
          model: "per_unit",
          unit_amount: "0.07",
        });
        document.plans = [
          {
            key: "basic",
            versions: [
              {
                version: 1,
                usage: [
                  { sku: "CALLS", included: "1" },
                  { sku: "CALLS-2", included: "1" },
                ],
              },
            ],
          },
        ];
      },
      "two prices on one meter: CALLS and CALLS-2 would both bill meter calls",
    ],
    "duplicate matches": [
      (d) => {
        d.prices = [
          cells(
            { match: { region: "eu" }, unit_amount: "0.1" },
            { match: { region: "eu" }, unit_amount: "0.2" },
          ),
        ];
      },
      "/prices/0/cells/1",
    ],
    "mixed-dimension matches": [
      (d) => {
        d.meters = [{ ...small().meters[0], dimensions: ["region", "tier"] } as never];
        d.prices = [
          {
            ...cells(
              { match: { region: "eu" }, unit_amount: "0.1" },
              { match: { tier: "a" }, unit_amount: "0.2" },
            ),
            dimensions: ["region", "tier"],
          },
        ];
      },
      "/prices/0/cells",
    ],
    "two catch-alls": [
      (d) => {
        d.prices = [cells({ match: {}, unit_amount: "0.1" }, { match: {}, unit_amount: "0.2" })];
      },
      "/prices/0/",
    ],
    "unordered tiers": [
      (d) => {
        d.prices = [
          tiers(
            { up_to: "100", unit_amount: "2" },
            { up_to: "50", unit_amount: "1" },
            { up_to: null, unit_amount: "1" },
          ),
        ];
      },
      "/prices/0/tiers/1",
    ],
    "a gap between tiers": [
      (d) => {
        d.prices = [
          tiers({ up_to: "100", unit_amount: "2" }, { from: "101", up_to: null, unit_amount: "1" }),
        ];
      },
      "/prices/0/tiers/1",
    ],
    "no open top tier": [
      (d) => {
        d.prices = [tiers({ up_to: "100", unit_amount: "2" })];
      },
      "/prices/0/tiers/0",
    ],
    "a dimension that is not on the meter": [
      (d) => {
        d.prices = [
          { ...cells({ match: { planet: "mars" }, unit_amount: "0.1" }), dimensions: ["planet"] },
        ];
      },
      "planet",
    ],
    "a currency that is not the book's": [
      (d) => {
        d.prices = [
          {
            book: "retail-usd",
            sku: "CALLS",
            currency: "EUR",
            model: "per_unit",
            unit_amount: "0.06",
          },
        ];
      },
      "the price is in EUR, but what it is for is in USD",
    ],
    "a published SKU that nobody is charged for": [
      (d) => {
        d.prices = [];
      },
      "CALLS is published but has no price in any book or plan: it never bills",
    ],
    "a plan that never bills": [
      (d) => {
        d.plans.push({ key: "idle", versions: [{ version: 1 }] });
      },
      "idle@1: this plan never bills",
    ],
    "a fee without an amount": [
      (d) => {
        d.plans = [{ key: "basic", versions: [{ version: 1, fees: [{ sku: "BASE" }] }] }];
      },
      "BASE has no amount here and no price in any book: it never bills",
    ],
    "a fee charged twice": [
      (d) => {
        d.plans = [
          {
            key: "basic",
            versions: [
              {
                version: 1,
                fees: [
                  { sku: "BASE", amounts: { USD: "5" } },
                  { sku: "BASE", amounts: { USD: "5" } },
                ],
              },
            ],
          },
        ];
      },
      "BASE is charged twice in the same plan",
    ],
    "a batch without an overage price": [
      (d) => {
        batch("40.00")(d);
        d.prices = d.prices.filter((price) => price["sku"] !== "CALLS");
        d.skus = d.skus.filter((sku) => sku.code !== "CALLS");
      },
      "the batch CALLS-1000 has no overage price",
    ],
    "a batch that is dearer than overage": [batch("60.00"), "add confirm: [batch_not_cheaper]"],
    "a parent book in another currency": [
      (d) => {
        d.price_books = [
          { code: "retail-usd", currency: "USD" },
          { code: "eu", currency: "EUR", parent: "retail-usd" },
        ] as never;
      },
      "prices are never converted silently",
    ],
    "books that are each other's parents": [
      (d) => {
        d.price_books = [
          { code: "retail-usd", currency: "USD", parent: "b" },
          { code: "b", currency: "USD", parent: "retail-usd" },
        ] as never;
      },
      "comes back to itself through its parents",
    ],
    "a meter that is not there": [
      (d) => {
        d.skus = [
          { code: "CALLS", kind: "usage", meter: "cals" },
          { code: "BASE", kind: "recurring" } as never,
        ];
      },
      "there is no meter cals",
    ],
    "money without quotes": [
      (d) => {
        d.prices = [
          {
            book: "retail-usd",
            sku: "CALLS",
            currency: "USD",
            model: "per_unit",
            unit_amount: 0.06,
          },
        ];
      },
      'write "0.06"',
    ],
    "a misspelt member": [
      (d) => {
        d["skuz"] = [];
      },
      'a catalog file has no member "skuz"',
    ],
    "two prices in one currency for one usage of a plan": [
      (d) => (d.plans = [planPriced([perCall("USD", "0.05"), perCall("USD", "0.04")])]),
      "two prices on one meter: CALLS has another price in USD in the same plan",
    ],
    "a plan that prices a meter which the book prices under another name": [
      (d) => {
        d.skus.push({ code: "CALLS-IN-PLAN", kind: "usage", meter: "calls" });
        d.plans = [planPriced([perCall("USD", "0.05")], { sku: "CALLS-IN-PLAN" })];
      },
      "two prices on one meter: CALLS-IN-PLAN of this plan and CALLS of book retail-usd",
    ],
    "a usage price in a currency in which nobody can hold the plan": [
      (d) => (d.plans = [planPriced([perCall("USD", "0.05"), perCall("EUR", "0.05")])]),
      "no fee of the plan is in EUR",
    ],
    "a usage price that lacks a currency of the plan": [
      (d) => (d.plans = [planPriced([perCall("EUR", "0.05")], {}, { USD: "50.00", EUR: "47.00" })]),
      "CALLS has no price in USD, in which the fees of the plan are sold",
    ],
    "a usage price of what the plan refuses": [
      (d) => (d.plans = [planPriced([perCall("USD", "0.05")], { beyond: "block" })]),
      "its price never bills",
    ],
    "a usage price of a plan that looks at a dimension the meter has not": [
      (d) => (d.plans = [planPriced([{ ...perCall("USD", "0.05"), group_by: ["planet"] }])]),
      "planet",
    ],
    "the same thing twice": [
      (d) => {
        d.skus.push({ code: "BASE", kind: "recurring" } as never);
      },
      "SKU BASE is written twice",
    ],
  };
  test.each(Object.entries(mistakes))("%s", (_, [spoil, sentence]) => {
    const faults = faultsOf(spoil);
    expect(faults.join("\n")).toContain(sentence);
    expect(faults[0]).toMatch(/^c\.yaml#\//);
  });

  test("a plan may bring its own price for what no book prices, and it reads back as it was written", () => {
    const graduated = {
      model: "graduated",
      currency: "USD",
      tiers: [{ up_to: 100, unit_amount: "0.05" }, { unit_amount: "0.02" }],
    };
    const document = { ...small(), prices: [], plans: [planPriced([graduated])] };
    const catalog = sound([{ name: "c.yaml", document }]);
    const again = sound(writeCatalog(catalog));
    expect(isSettled(diffCatalogs(catalog, again, now))).toBe(true);
    const [own] = again.plans[0]?.versions[0]?.usage[0]?.prices ?? [];
    expect(
      own?.model === "graduated" && own.tiers.map((tier) => tier.unitAmount.toFixed()),
    ).toEqual(["0.05", "0.02"]);
  });

  test("each sentence is another one", () => {
    const first = Object.values(mistakes).map(([spoil]) => faultsOf(spoil)[0]);
    expect(new Set(first).size).toBe(first.length);
  });

  test("a batch that is dearer than overage may be confirmed", () => {
    expect(faultsOf(batch("60.00", { confirm: ["batch_not_cheaper"] }))).toEqual([]);
    expect(faultsOf(batch("40.00"))).toEqual([]);
  });
});

describe("what applying would do", () => {
  const at = (document: Small) => sound([{ name: "c.yaml", document }]);
  const plan = (edit: (document: Small) => void) => {
    const wanted = small() as Small;
    edit(wanted);
    return diffCatalogs(at(small() as Small), at(wanted), now);
  };
  const later = {
    book: "retail-usd",
    sku: "CALLS",
    currency: "USD",
    model: "per_unit",
    unit_amount: "0.07",
  };

  test("the same files change nothing", () => {
    expect(plan(() => {}).steps).toEqual([]);
  });

  test("a new price is a new version; the old one stays as it is", () => {
    const diff = plan(
      (d) => void d.prices.push({ ...later, effective_from: "2025-02-01T00:00:00Z" }),
    );
    expect(renderDiff(diff)).toBe(
      "+ price retail-usd CALLS from 2025-02-01T00:00:00.000Z\n    effective_from: 2025-02-01T00:00:00Z\n    currency: USD\n    model: per_unit\n    unit_amount: 0.07",
    );
  });

  test("a published price is never edited, and never begins in the past", () => {
    const edited = plan((d) => {
      d.prices = [{ ...later }];
    });
    expect(refusalsIn(edited)[0]?.why).toContain("is published and never changes");
    const past = plan(
      (d) => void d.prices.push({ ...later, effective_from: "2025-01-01T00:00:00Z" }),
    );
    expect(refusalsIn(past)[0]?.why).toContain("cannot begin in the past");
  });

  test("plan versions and states only go forward", () => {
    const edited = plan((d) => {
      d.plans = [
        {
          key: "basic",
          versions: [{ version: 1, fees: [{ sku: "BASE", amounts: { USD: "55.00" } }] }],
        },
      ];
    });
    expect(refusalsIn(edited)[0]?.why).toContain("add the next version");
    const drafted = plan((d) => {
      d.skus = [
        { code: "CALLS", kind: "usage", meter: "calls", status: "draft" } as never,
        { code: "BASE", kind: "recurring" } as never,
      ];
    });
    expect(refusalsIn(drafted)[0]?.why).toContain("cannot go back to draft");
  });

  test("what is missing in the files stays in force", () => {
    const diff = plan((d) => {
      d.plans = [];
      d.skus = d.skus.filter((sku) => sku.code !== "BASE");
    });
    expect(diff.steps.map((step) => [step.act, step.kind, step.name])).toEqual([
      ["keep", "sku", "BASE"],
      ["keep", "plan", "basic"],
      ["keep", "plan_version", "basic@1"],
    ]);
    expect(isSettled(diff)).toBe(true);
  });

  test("new subscribers get the version in effect, drafts never", () => {
    const catalog = at({
      ...small(),
      plans: [
        {
          key: "basic",
          versions: [
            { version: 1, fees: [{ sku: "BASE", amounts: { USD: "200.00" } }] },
            {
              version: 2,
              effective_from: "2025-02-01T00:00:00Z",
              fees: [{ sku: "BASE", amounts: { USD: "220.00" } }],
            },
            { version: 3, status: "draft", fees: [{ sku: "BASE", amounts: { USD: "1.00" } }] },
          ],
        },
      ],
    } as Small);
    const [basic] = catalog.plans;
    const of = (text: string) => basic && versionInForce(basic, instant(text))?.version;
    expect([of("2025-01-31T23:59:59Z"), of("2025-02-01T00:00:00Z")]).toEqual([1, 2]);
  });
});
