import { Group, Kbd, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { SHORTCUTS } from "./shortcuts";

/** The keys of the inbox; `?` shows them. */
export function ShortcutList() {
  const [isOpen, { open, close }] = useDisclosure(false);
  useHotkeys([["shift+?", open], ["?", open]]);
  return (
    <Modal opened={isOpen} onClose={close} title="Keys" size="sm" closeButtonProps={{ "aria-label": "Close" }}>
      <Stack gap="xs">
        {SHORTCUTS.map(({ keys, does }) => (
          <Group key={keys} justify="space-between">
            <Text size="sm">{does}</Text>
            <Kbd>{keys}</Kbd>
          </Group>
        ))}
      </Stack>
    </Modal>
  );
}
