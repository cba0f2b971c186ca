/** Usage that a sound price cannot price: it names the part of the price at fault and what is missing. */
export class UnratableError extends Error {
  override readonly name = "UnratableError";
  readonly pointer: string;

  constructor(pointer: string, detail: string) {
    super(detail);
    this.pointer = pointer;
  }
}
