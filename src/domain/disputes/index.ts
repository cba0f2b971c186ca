export { askableOf, decideDispute } from "./amounts.ts";
export { type Attachment, messagesMax, readAttachment } from "./attachment.ts";
export { type Deadlines, deadlinesFrom, nextDeadline } from "./deadlines.ts";
export { decideResolution, type Resolution } from "./resolution.ts";
export {
  type DisputeStatus,
  disputeStatuses,
  mayBecome,
  takesMessages,
} from "./states.ts";
