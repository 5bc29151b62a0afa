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

/** For Python with httpx. @param {Recipe} recipe */
export function pythonProgram({ origin, image, mask, output, fields, needsKey }) {
  const data = [...fields].map(([name, value]) => `${text(name)}: ${text(value)}`).join(", ");
  const headers = [
    ...(needsKey ? ['"Authorization": f"Bearer {os.environ[\'MOEBIUS_KEY\']}"'] : []),
    ...(isMany(fields) ? ['"Accept": "application/json"'] : []),
  ];
  return [
    ...(isMany(fields) ? ["import base64"] : []),
    ...(needsKey ? ["import os"] : []),
    "from pathlib import Path",
    "",
    "import httpx",
    "",
    "answer = httpx.post(",
    `    ${text(`${origin}/v1/inpaint`)},`,
    `    files={"image": Path(${text(image)}).open("rb"), "mask": Path(${text(mask)}).open("rb")},`,
    ...(data ? [`    data={${data}},`] : []),
    ...(headers.length ? [`    headers={${headers.join(", ")}},`] : []),
    "    timeout=300,",
    ")",
    "if answer.is_error:",
    "    raise SystemExit(answer.text)",
    ...(isMany(fields)
      ? [
          'for picture in answer.json()["pictures"]:',
          `    name = f"${stem(output)}-{picture['seed']}.{picture['content_type'].partition('/')[2]}"`,
          '    Path(name).write_bytes(base64.b64decode(picture["data"]))',
        ]
      : [`Path(${text(output)}).write_bytes(answer.content)`]),
    "",
  ].join("\n");
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

/** Safe within an f-string. @param {string} name */
function stem(name) {
  return name.replace(/\.[^.]*$/, "").replace(/["\\{}\n]/g, "_");
}
