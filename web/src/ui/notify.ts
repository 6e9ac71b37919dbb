import { notifications } from "@mantine/notifications";
import { explain } from "@/platform/api/problem";

/** Say for a moment that something worked. */
export function notifyDone(message: string): void {
  notifications.show({ message, color: "teal", autoClose: 3500 });
}

/** Say what failed; stays a little longer, and is read out at once. */
export function notifyFailed(what: string, error: unknown): void {
  notifications.show({ title: what, message: explain(error), color: "red", autoClose: 8000, role: "alert" });
}
