/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilStopped(note: (text: string) => void): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (name: NodeJS.Signals) => {
      if (asked) {
        note("stopped at once; the next start recovers");
        process.exit(name === "SIGINT" ? 130 : 143);
      }
      asked = true;
      note("stopping; answering what came in");
      resolve();
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}
