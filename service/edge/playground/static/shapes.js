/**
 * Shapes as rows of pixels: each calls `span(row, from, to)` for the pixels [from, to) whose centres it covers.
 * Points are in pixels of the picture; the centre of its first pixel is (0.5, 0.5).
 */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {(row: number, from: number, to: number) => void} Span */

const SMALLEST_RADIUS = Math.SQRT1_2; // a disc of this radius covers a centre wherever it lies

/**
 * What a round brush covers on its way from one point to another: a convex shape, so one span a row.
 * @param {Point} from @param {Point} to @param {number} radius in pixels @param {Span} span
 */
export function stroke(from, to, radius, span) {
  const r = Math.max(radius, SMALLEST_RADIUS);
  const sides = sidesOf(from, to, r);
  const top = Math.floor(Math.min(from.y, to.y) - r);
  const bottom = Math.ceil(Math.max(from.y, to.y) + r);
  for (let row = top; row < bottom; row += 1) {
    const y = row + 0.5;
    const reach = { left: Infinity, right: -Infinity };
    widenByDisc(reach, from, r, y);
    widenByDisc(reach, to, r, y);
    for (const [a, b] of sides) widenByEdge(reach, a, b, y);
    emit(reach.left, reach.right, row, span);
  }
}

/**
 * @param {Point} from a corner @param {Point} to the corner opposite @param {Span} span
 */
export function rectangle(from, to, span) {
  const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
  const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
  for (let row = Math.ceil(top - 0.5); row + 0.5 <= bottom; row += 1) emit(left, right, row, span);
}

/**
 * A closed outline, everything that it winds around.
 * @param {Point[]} points @param {Span} span
 */
export function polygon(points, span) {
  /** @type {Map<number, {x: number, turn: number}[]>} */
  const rows = new Map();
  points.forEach((a, index) => crossings(a, points[(index + 1) % points.length], rows));
  for (const [row, found] of rows) {
    found.sort((one, other) => one.x - other.x);
    let winding = 0;
    for (let index = 0; index + 1 < found.length; index += 1) {
      winding += found[index].turn;
      if (winding !== 0) emit(found[index].x, found[index + 1].x, row, span);
    }
  }
}

/**
 * The two straight sides between the discs at the ends of a stroke.
 * @param {Point} from @param {Point} to @param {number} r @returns {[Point, Point][]}
 */
function sidesOf(from, to, r) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  if (length === 0) return [];
  const across = { x: (-(to.y - from.y) / length) * r, y: ((to.x - from.x) / length) * r };
  return [1, -1].map((sign) => [
    { x: from.x + sign * across.x, y: from.y + sign * across.y },
    { x: to.x + sign * across.x, y: to.y + sign * across.y },
  ]);
}

/**
 * @typedef {{left: number, right: number}} Reach
 * @param {Reach} reach @param {Point} centre @param {number} r @param {number} y
 */
function widenByDisc(reach, centre, r, y) {
  const square = r * r - (y - centre.y) ** 2;
  if (square < 0) return;
  reach.left = Math.min(reach.left, centre.x - Math.sqrt(square));
  reach.right = Math.max(reach.right, centre.x + Math.sqrt(square));
}

/** @param {Reach} reach @param {Point} a @param {Point} b @param {number} y */
function widenByEdge(reach, a, b, y) {
  if (a.y === b.y || y < Math.min(a.y, b.y) || y > Math.max(a.y, b.y)) return;
  const x = a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x);
  reach.left = Math.min(reach.left, x);
  reach.right = Math.max(reach.right, x);
}

/**
 * Where an edge crosses the middle of each row that it passes, and whether upwards or downwards.
 * @param {Point} a @param {Point} b @param {Map<number, {x: number, turn: number}[]>} rows
 */
function crossings(a, b, rows) {
  const turn = a.y < b.y ? 1 : -1;
  const [top, bottom] = a.y < b.y ? [a, b] : [b, a];
  for (let row = Math.ceil(top.y - 0.5); row + 0.5 < bottom.y; row += 1) {
    const x = top.x + ((row + 0.5 - top.y) / (bottom.y - top.y)) * (bottom.x - top.x);
    const found = rows.get(row);
    if (found) found.push({ x, turn });
    else rows.set(row, [{ x, turn }]);
  }
}

/** @param {number} left @param {number} right @param {number} row @param {Span} span */
function emit(left, right, row, span) {
  const [from, to] = [Math.ceil(left - 0.5), Math.floor(right - 0.5) + 1];
  if (from < to) span(row, from, to);
}
