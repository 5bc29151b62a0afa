/** The run as a command or a program that does the same without the page. */

/**
 * What is run: the names of both files beside the program, and the parameters that are not left out.
 * @typedef {{origin: string, image: string, mask: string, output: string, fields: Map<string, string>,
 *   needsKey: boolean}} Recipe
 */

/** For a POSIX shell. @param {Recipe} recipe */
export function curlCommand({ origin, image, mask, output, fields, needsKey }) {
  const parts = ["curl --fail-with-body"];
  if (needsKey) parts.push('-H "Authorization: Bearer $MOEBIUS_KEY"');
  parts.push(`-F ${shellWord(`image=@${curlName(image)}`)}`, `-F ${shellWord(`mask=@${curlName(mask)}`)}`);
  for (const [name, value] of fields) parts.push(`-F ${shellWord(`${name}=${value}`)}`);
  if (isMany(fields)) parts.push("-H 'Accept: application/json'");
  parts.push(`-o ${shellWord(isMany(fields) ? "candidates.json" : output)}`, shellWord(`${origin}/v1/inpaint`));
  return `${parts.join(" \\\n    ")}\n`;
}

/** For Python with this service's client. @param {Recipe} recipe */
export function pythonProgram({ origin, image, mask, output, fields, needsKey }) {
  const parameters = [...fields].map(([name, value]) => `        ${name}=${pythonValue(name, value)},`);
  return [
    `from moebius_client import Client  # pip install 'moebius[client]'`,
    "",
    ...(needsKey ? ["# The key is read from MOEBIUS_KEY."] : []),
    `with Client(${text(origin)}) as client:`,
    "    result = client.inpaint(",
    `        ${text(image)},`,
    `        ${text(mask)},`,
    ...parameters,
    "    )",
    `    result.${isMany(fields) ? "save_all" : "save"}(${text(output)})`,
    "",
  ].join("\n");
}

/** The client's parameters have types. @param {string} name @param {string} value */
function pythonValue(name, value) {
  if (value === "true" || value === "false") return value === "true" ? "True" : "False";
  return name !== "model" && Number.isFinite(Number(value)) ? String(Number(value)) : text(value);
}

/** Several pictures come as a document. @param {Map<string, string>} fields */
function isMany(fields) {
  return Number(fields.get("n") ?? 1) > 1;
}

/** @param {string} word */
function shellWord(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Commas and semicolons mean something to curl, unless quoted. @param {string} name */
function curlName(name) {
  return /[,;"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

/** A string as Python writes it, too. @param {string} value */
function text(value) {
  return JSON.stringify(value);
}
