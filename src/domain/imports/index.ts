export { columnsOf, type ImportMap, readImportMap } from "./map.ts";
export { type ImportedEvent, type MappedRow, type Row, rowMapper } from "./row.ts";
