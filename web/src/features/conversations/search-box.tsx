import { CloseButton, Kbd, TextInput } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useRef } from "react";

/** As long as the server takes. */
const MAX_CHARACTERS = 200;

/** Search everything that was said. `/` comes here, Escape empties it. */
export function SearchBox({ text, onChange }: { text: string; onChange(text: string): void }) {
  const input = useRef<HTMLInputElement>(null);
  useHotkeys([["/", () => input.current?.focus()]]);
  return (
    <div role="search">
      <TextInput
        ref={input}
        size="sm"
        px="sm"
        pt="sm"
        pb={4}
        type="text"
        inputMode="search"
        aria-label="Search conversations"
        placeholder="Search messages, names, addresses"
        maxLength={MAX_CHARACTERS}
        leftSection={<IconSearch size={16} />}
        rightSection={
          text ? (
            <CloseButton size="sm" aria-label="Clear the search" onClick={() => clear()} />
          ) : (
            <Kbd size="xs" aria-hidden>/</Kbd>
          )
        }
        value={text}
        onChange={(changed) => onChange(changed.currentTarget.value)}
        onKeyDown={(pressed) => {
          if (pressed.key !== "Escape") return;
          if (text) clear();
          else input.current?.blur();
        }}
      />
    </div>
  );

  function clear(): void {
    onChange("");
    input.current?.focus();
  }
}
