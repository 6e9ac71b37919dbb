import { Button, Drawer, Text } from "@mantine/core";
import type { ReactNode } from "react";

type Props = {
  /** What its heading says. */
  title: string;
  /** What its closing button is called, for those who hear it. */
  close: string;
  onClose(): void;
  /** Nothing keeps it closed. */
  children: ReactNode;
};

/** What slides in from the side to show more of one thing. */
export function SideDrawer({ title, close, onClose, children }: Props) {
  return (
    <Drawer
      opened={Boolean(children)}
      onClose={onClose}
      position="right"
      size="lg"
      title={<Text component="span" fw={600}>{title}</Text>}
      closeButtonProps={{ "aria-label": close }}
    >
      {children}
    </Drawer>
  );
}

type Pages = { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): unknown };

/** Fetches the next page of a list, while there is one. */
export function ShowMore({ of }: { of: Pages }) {
  if (!of.hasNextPage) return null;
  return <Button variant="default" loading={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>Show more</Button>;
}
