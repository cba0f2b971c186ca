/**
 * A JSON number that a float might change, or that is written with an exponent: kept as it was written. It becomes a
 * string when it is written again, so that no digit is lost.
 */
export class WrittenNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
  toJSON(): string {
    return this.source;
  }
}

export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
}

// Where a number may begin: after a colon, a comma or a bracket, or at the very start. May also hit inside a string, which
// costs time and nothing else.
const doubtful = /(?:^|[:[,])\s*-?(?:\d+(?:\.\d+)?[eE]|[\d.]{16})/;

/**
 * Like JSON.parse, but no number passes through a float that it may not survive: those of more than 15 digits and those
 * with an exponent come as `WrittenNumber`. Throws `JsonSyntaxError`.
 */
export function parseExactJson(text: string): unknown {
  try {
    if (!doubtful.test(text)) return JSON.parse(text);
    // Numbers are told apart from strings by a parser of our own; that the text is JSON at all, JSON.parse says.
    JSON.parse(text);
  } catch (error) {
    throw new JsonSyntaxError((error as Error).message);
  }
  return new Reader(text).value();
}

const isExact = (source: string): boolean =>
  !/[eE]/.test(source) && source.replace(/^-?0*\.?0*|\./g, "").length <= 15;

const space = /[ \t\n\r]*/y;
const stringToken = /"(?:[^"\\]|\\.)*"/y;
const numberToken = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const wordToken = /true|false|null/y;

const depthMax = 500;

/** Reads text that is known to be JSON. */
class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    if (++this.#depth > depthMax) throw new JsonSyntaxError("nested too deeply");
    try {
      return this.#anyValue();
    } finally {
      this.#depth--;
    }
  }

  #anyValue(): unknown {
    this.#take(space);
    switch (this.#text.charAt(this.#at)) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return JSON.parse(this.#take(stringToken));
      case "t":
      case "f":
      case "n":
        return JSON.parse(this.#take(wordToken));
      default:
        return this.#number();
    }
  }

  #number(): number | WrittenNumber {
    const source = this.#take(numberToken);
    return isExact(source) ? Number(source) : new WrittenNumber(source);
  }

  #object(): Record<string, unknown> {
    const members: [string, unknown][] = [];
    this.#at++;
    while (this.#next() !== "}") {
      const key = JSON.parse(this.#take(stringToken)) as string;
      this.#take(space);
      this.#at++;
      members.push([key, this.value()]);
      if (this.#next() === ",") this.#at++;
    }
    this.#at++;
    return Object.fromEntries(members);
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    while (this.#next() !== "]") {
      items.push(this.value());
      if (this.#next() === ",") this.#at++;
    }
    this.#at++;
    return items;
  }

  #next(): string | undefined {
    this.#take(space);
    return this.#text[this.#at];
  }

  #take(token: RegExp): string {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }
}
