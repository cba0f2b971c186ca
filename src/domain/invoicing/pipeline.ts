/**
 * The published order in which usage becomes an amount due. It stands on every document; a change of any step is a new
 * version, and old documents are recomputed by theirs.
 */
export const pipelineVersion = 1;
