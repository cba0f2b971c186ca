// What the compiled program reads at run time and the compiler does not copy.
import { cp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const folders = ["store/migrations"];

for (const folder of folders) {
  const from = fileURLToPath(new URL(`../src/${folder}`, import.meta.url));
  const to = fileURLToPath(new URL(`../dist/${folder}`, import.meta.url));
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true });
}
