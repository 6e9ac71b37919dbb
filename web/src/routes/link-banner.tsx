import { Button, Loader } from "@mantine/core";
import { IconCloudOff } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { LinkState } from "@/platform/realtime/connection";
import styles from "./shell.module.css";

/** A restart of the server is over sooner than this, and nobody needs to know. */
const PATIENCE_MS = 1_500;

/** Says that what is on the screen may be old, and what happens with what one writes. */
export function LinkBanner({ state, onRetry }: { state: LinkState; onRetry(): void }) {
  const isAway = useLasting(state !== "live", PATIENCE_MS);
  return (
    <div role="status" data-link={state}>
      {isAway && state !== "live" && (
        <div className={styles.banner}>
          {state === "offline" ? <IconCloudOff size={16} aria-hidden /> : <Loader size={14} color="gray" aria-hidden />}
          <span>{state === "offline" ? "You are offline." : "Reconnecting."} Nothing is lost; what you write is sent as soon as possible.</span>
          <Button size="compact-xs" variant="default" onClick={onRetry}>Try now</Button>
        </div>
      )}
    </div>
  );
}

/** True once something has been true for a while. */
function useLasting(value: boolean, afterMs: number): boolean {
  const [isLasting, setLasting] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLasting(value), value ? afterMs : 0);
    return () => clearTimeout(timer);
  }, [value, afterMs]);
  return isLasting && value;
}
