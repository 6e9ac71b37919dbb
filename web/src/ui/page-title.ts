import { useEffect } from "react";

/** Name the browser's tab; `unread` stands before it so that it can be seen from another tab. */
export function usePageTitle(title: string, unread = 0): void {
  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${title} · Dana`;
  }, [title, unread]);
}
