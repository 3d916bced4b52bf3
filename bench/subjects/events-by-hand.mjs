// An event log as people write it by hand: JSON, a chain of SHA-256 by node:crypto, an array. It has no index by type, no
// transaction and no file.

import { createHash } from "node:crypto";

export const GENESIS = Buffer.alloc(32);

export function sealJson(bytes, previousHash) {
  return createHash("sha256").update(bytes).update(previousHash).digest();
}

export function openEventsByHand() {
  const events = [];
  let head = GENESIS;
  const append = (type, payload) => {
    const sequence = events.length;
    const bytes = JSON.stringify([sequence, type, payload, Date.now()]);
    const hash = sealJson(bytes, head);
    events.push({ bytes, previousHash: head, hash });
    head = hash;
    return sequence;
  };
  return {
    append,
    appendPass({ types, payloads, count }) {
      let inOrder = 0;
      let last = events.length - 1;
      for (let i = 0; i < count; i++) {
        const sequence = append(types[i], payloads[i]);
        if (sequence === last + 1) inOrder++;
        last = sequence;
      }
      return inOrder;
    },
    readPass({ sequences, count }) {
      let total = 0;
      for (let i = 0; i < count; i++) total += JSON.parse(events[sequences[i]].bytes)[2].step;
      return total;
    },
    verifyPass() {
      let valid = 0;
      let previous = GENESIS;
      for (const { bytes, previousHash, hash } of events) {
        if (previousHash.equals(previous) && hash.equals(sealJson(bytes, previousHash))) valid++;
        previous = hash;
      }
      return valid;
    },
    close() {},
  };
}
