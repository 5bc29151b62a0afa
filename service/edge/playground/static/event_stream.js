/** Reads Server-Sent Events (WHATWG HTML, section 9.2.6) of a fetched answer: EventSource can send no key. */

/** @typedef {{kind: string, id: string, data: string}} StreamEvent */

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<StreamEvent, void, void>}
 */
export async function* readEvents(body) {
  let event = empty();
  for await (const line of lines(body)) {
    if (line === "") {
      if (event.data !== "") yield event;
      event = empty();
    } else {
      addField(event, line);
    }
  }
}

/** @returns {StreamEvent} */
function empty() {
  return { kind: "message", id: "", data: "" };
}

/** @param {StreamEvent} event @param {string} line */
function addField(event, line) {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "event") event.kind = value;
  if (name === "id") event.id = value;
  if (name === "data") event.data += event.data === "" ? value : `\n${value}`;
}

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body @returns {AsyncGenerator<string, void, void>} */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop() ?? "";
      yield* parts;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // whoever stops to listen ends the connection
  }
}
