import type { Env } from "../flows/env.ts";
import { type Postman, sendNextMail } from "../flows/send-mails.ts";

export type MailSender = {
  /** Take up no further mail; resolves when those under way have been noted. */
  stop(): Promise<void>;
};

export type MailSenderOptions = Postman & {
  /** How long to rest when nothing was due. */
  readonly restMs?: number;
  /** Mails under way at the same time. */
  readonly hands?: number;
  readonly onFailure?: (error: unknown) => void;
};

/** Send what is due, one mail after the other in each of a few hands, until told to stop. Any number of processes may. */
export function startMailSender(env: Env, options: MailSenderOptions): MailSender {
  const { restMs = 1_000, hands = 2, onFailure = () => {} } = options;
  const stopping = new AbortController();
  const work = async () => {
    while (!stopping.signal.aborted) {
      const outcome = await sendNextMail(env, options).catch((error: unknown) => {
        // The database is away: the lease brings the mail back.
        onFailure(error);
        return undefined;
      });
      if (outcome === undefined) await rest(restMs, stopping.signal);
    }
  };
  const ended = Promise.all(Array.from({ length: hands }, work));
  return {
    async stop() {
      stopping.abort();
      await ended;
      options.gateway.close();
    },
  };
}

function rest(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (until.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      until.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    until.addEventListener("abort", done);
  });
}
