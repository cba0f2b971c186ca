/** A small file beside a message: a log, a screenshot, a contract page. */
export type Attachment = { readonly name: string; readonly content: Uint8Array };

const attachmentBytesMax = 256 * 1024;
/** Per dispute, from both sides together: a case, not an archive. */
export const messagesMax = 200;

export type AttachmentFault = "empty" | "too_large" | "not_base64";

/** Read a file that came as base64, or say what is wrong with it. */
export function readAttachment(
  name: string,
  base64: string,
): { readonly attachment: Attachment } | { readonly fault: AttachmentFault } {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0)
    return { fault: "not_base64" };
  const content = Buffer.from(base64, "base64");
  if (content.length === 0) return { fault: "empty" };
  if (content.length > attachmentBytesMax) return { fault: "too_large" };
  return { attachment: { name, content } };
}
