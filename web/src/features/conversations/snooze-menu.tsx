import { ActionIcon, Button, Menu, Modal, Stack, TextInput, Tooltip } from "@mantine/core";
import { IconMoon } from "@tabler/icons-react";
import { useState } from "react";
import { useNow } from "@/ui/age";
import { snoozeChoices } from "./snooze";

/** Put the conversation away until a time; it comes back then, or when the customer writes. */
export function SnoozeMenu({ onSnooze }: { onSnooze(until: Date): void }) {
  const [isChoosing, setChoosing] = useState(false);
  const choices = snoozeChoices(new Date(useNow()));
  return (
    <>
      <Menu position="bottom-end" width={260} shadow="md">
        <Menu.Target>
          <Tooltip label="Snooze">
            <ActionIcon variant="default" size="lg" aria-label="Snooze"><IconMoon size={18} stroke={1.7} /></ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Bring it back</Menu.Label>
          {choices.map(({ label, until }) => (
            <Menu.Item key={label} onClick={() => onSnooze(until)}>{label}</Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={() => setChoosing(true)}>At another time…</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={isChoosing} onClose={() => setChoosing(false)} title="Snooze until" closeButtonProps={{ "aria-label": "Close" }}>
        <OwnTime
          onChosen={(until) => {
            setChoosing(false);
            onSnooze(until);
          }}
        />
      </Modal>
    </>
  );
}

function OwnTime({ onChosen }: { onChosen(until: Date): void }) {
  const [text, setText] = useState("");
  const now = useNow();
  const until = new Date(text);
  const isPast = text !== "" && until.getTime() <= now;
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        onChosen(until);
      }}
    >
      <Stack>
        <TextInput
          type="datetime-local"
          label="Date and time"
          data-autofocus
          required
          value={text}
          onChange={(changed) => setText(changed.currentTarget.value)}
          error={isPast ? "This time has passed." : null}
        />
        <Button type="submit" disabled={!text || isPast}>Snooze</Button>
      </Stack>
    </form>
  );
}
