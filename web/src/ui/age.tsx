import { createStore, useStore } from "@/platform/store";
import { age, fullTime } from "./time";

const clock = createStore(Date.now());
setInterval(() => clock.set(Date.now()), 30_000);

/** The current time for rendering, renewed twice a minute for all who watch. */
export function useNow(): number {
  return useStore(clock);
}

export function Age({ of }: { of: string }) {
  return (
    <time dateTime={of} title={fullTime(of)}>
      {age(of, useNow())}
    </time>
  );
}
