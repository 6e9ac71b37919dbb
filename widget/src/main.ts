/**
 * The entry: `<script async src="https://HOST/widget.js" data-inbox="PUBLIC_KEY"></script>`.
 * Optional: data-color, data-position (left, right), data-theme (auto, light, dark), data-name, data-email.
 */

import { createApi, type Visitor } from "./api";
import { Chat } from "./chat";
import { availableStorage, createMemory } from "./memory";
import { adoptStyles } from "./view/theme";
import { Widget } from "./view/widget";

function mount(script: HTMLScriptElement): void {
  const inbox = script.dataset["inbox"] ?? "";
  if (inbox === "" || document.getElementById("dana-widget") !== null) return;
  const { origin } = new URL(script.src);
  const host = document.createElement("div");
  host.id = "dana-widget";
  const root = host.attachShadow({ mode: "open" });
  adoptStyles(root, host, {
    color: script.dataset["color"] ?? null,
    position: script.dataset["position"] === "left" ? "left" : "right",
    mode: themeOf(script.dataset["theme"]),
  });
  const memory = createMemory(availableStorage(), inbox);
  const chat = new Chat({
    api: createApi(origin, inbox, memory, (url, request) => fetch(url, request)),
    memory,
    visitor: visitorOf(script),
    realtimeUrl: `${origin}/api/v1/realtime`,
    openSocket: (url) => new WebSocket(url),
    openStream: (url) => new EventSource(url),
    random: Math.random,
    alone: (task) => ("locks" in navigator ? navigator.locks.request(`dana:${inbox}`, task) : task()),
  });
  new Widget(root, chat);
  document.body.append(host);
  chat.resume();
}

function themeOf(value: string | undefined): "auto" | "light" | "dark" {
  return value === "light" || value === "dark" ? value : "auto";
}

function visitorOf(script: HTMLScriptElement): Visitor {
  const { name, email } = script.dataset;
  return { ...(name ? { name } : {}), ...(email ? { email } : {}) };
}

const script = document.currentScript;
if (script instanceof HTMLScriptElement) {
  if (document.body) mount(script);
  else document.addEventListener("DOMContentLoaded", () => mount(script));
}
