/** A refusal of the service (RFC 9457), or its silence, as an error with words for the user. */

/**
 * @typedef {{title: string, detail: string, code: string, status: number}} ProblemDocument
 */

export class Problem extends Error {
  /** @param {ProblemDocument} document */
  constructor({ title, detail, code, status }) {
    super(detail);
    this.name = "Problem";
    this.title = title;
    this.code = code;
    this.status = status;
  }

  /** Whether the service wants to know who asks. */
  get asksForKey() {
    return this.status === 401;
  }
}

/** @param {Response} response that is not a success @returns {Promise<Problem>} */
export async function problemOf(response) {
  const document = await response.json().catch(() => null);
  if (document && typeof document.detail === "string") return new Problem(document);
  return new Problem({
    title: `Answered with status ${response.status}`,
    detail: "The answer is not one of this service: something between here and it refused. Try again later.",
    code: "unknown_answer",
    status: response.status,
  });
}

/** The service does not answer at all. */
export function unreachable() {
  return new Problem({
    title: "The service can't be reached",
    detail: `No answer came from ${location.host}. Check that the service runs and that you are connected, then try again.`,
    code: "unreachable",
    status: 0,
  });
}
