// What both peers share: who a token belongs to, and events from Valkey for the rooms that have somebody in.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";

const AUDIENCE = "dana-realtime";
const keys = new Map(
  JSON.parse(readFileSync(process.env.PEER_JWKS, "utf8")).keys.map((jwk) => [
    jwk.kid,
    createPublicKey({ key: jwk, format: "jwk" }),
  ]),
);

/** The room of whoever holds a token, or null when it is no valid one. */
export function roomOf(token) {
  const [head, body, signature] = String(token).split(".");
  try {
    const key = keys.get(JSON.parse(Buffer.from(head, "base64url")).kid);
    const signed = Buffer.from(`${head}.${body}`);
    const given = Buffer.from(signature, "base64url");
    if (!verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, given)) return null;
    const claims = JSON.parse(Buffer.from(body, "base64url"));
    return claims.aud === AUDIENCE && claims.exp > Date.now() / 1000 ? claims.org : null;
  } catch {
    return null;
  }
}

/** Subscribes to a room's channel when its first one comes in; `deliver` gets each event as a Buffer. */
export class Events {
  constructor(deliver) {
    this.confirmed = new Map();
    this.redis = new Redis(process.env.PEER_VALKEY_URL);
    const rooms = new Map();
    this.roomOfChannel = rooms;
    this.redis.on("messageBuffer", (channel, event) => deliver(rooms.get(channel.toString("latin1")), event));
  }

  /** Resolves when events of the room arrive. */
  of(room) {
    let confirmed = this.confirmed.get(room);
    if (!confirmed) {
      const channel = `dana:org:${room.replaceAll("-", "")}`;
      this.roomOfChannel.set(channel, room);
      confirmed = this.redis.subscribe(channel);
      this.confirmed.set(room, confirmed);
    }
    return confirmed;
  }
}

/** Listens on a free port and says which. */
export function listen(server) {
  server.listen({ host: "127.0.0.1", port: 0, backlog: 2048 }, () => console.log(`ready ${server.address().port}`));
}
