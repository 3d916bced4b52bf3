/** Bytes that others are written behind, again and again, without being copied each time. */

/** Buffers with room, and how much of each is taken. */
const taken = new WeakMap<ArrayBufferLike, number>();

/** The two, one behind the other: in the room behind `head`, where nobody has taken that. Neither is changed. */
export function appended(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const length = head.byteLength + tail.byteLength;
  let { buffer } = head;
  if (taken.get(buffer) !== head.byteLength || buffer.byteLength < length) {
    buffer = new ArrayBuffer(2 * length);
    new Uint8Array(buffer).set(head);
  }
  taken.set(buffer, length);
  const whole = new Uint8Array(buffer, 0, length);
  whole.set(tail, head.byteLength);
  return whole;
}
