import { Button, Fieldset, Group, Slider, Stack, Switch, Text, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import fieldset from "./fieldset.module.css";
import type { Assistant } from "@/platform/api/types";
import { ProviderFields } from "./provider-fields";
import { useSave } from "./queries";

const USUAL_THRESHOLD = 0.5;

export function SettingsForm({ saved, isAdmin }: { saved: Assistant; isAdmin: boolean }) {
  const [settings, setSettings] = useState(saved);
  const save = useSave();
  const change = (part: Partial<Assistant>) => setSettings((before) => ({ ...before, ...part }));
  const isChanged = JSON.stringify(settings) !== JSON.stringify(saved);
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        save.mutate(settings, { onSuccess: setSettings });
      }}
    >
      <Stack gap="lg">
        <Fieldset classNames={fieldset} legend="Voice" disabled={!isAdmin}>
          <Stack>
            <TextInput label="Name" description="Customers see it beside the answers." required maxLength={60} value={settings.name} onChange={(changed) => change({ name: changed.currentTarget.value })} />
            <Textarea
              label="When it hands over, it says"
              description="Shown to the customer before a person answers."
              autosize
              minRows={2}
              maxLength={1000}
              value={settings.hand_over_text}
              onChange={(changed) => change({ hand_over_text: changed.currentTarget.value })}
            />
            <TextInput label="Tone" description="For example: friendly and brief. Used with a language model." maxLength={200} value={settings.tone ?? ""} onChange={(changed) => change({ tone: changed.currentTarget.value || null })} />
            <TextInput label="Language" description="Empty: the customer's own. Used with a language model." maxLength={60} value={settings.language ?? ""} onChange={(changed) => change({ language: changed.currentTarget.value || null })} />
          </Stack>
        </Fieldset>
        <Fieldset classNames={fieldset} legend="How sure it must be" disabled={!isAdmin}>
          <Threshold value={settings.threshold} isDisabled={!isAdmin} onChange={(threshold) => change({ threshold })} />
        </Fieldset>
        <ProviderFields provider={settings.provider} isDisabled={!isAdmin} onChange={(provider) => change({ provider })} />
        {isAdmin && (
          <Group justify="flex-end" gap="xs">
            <Button variant="default" disabled={!isChanged} onClick={() => setSettings(saved)}>Undo</Button>
            <Button type="submit" disabled={!isChanged} loading={save.isPending}>Save</Button>
          </Group>
        )}
      </Stack>
    </form>
  );
}

function Threshold({ value, isDisabled, onChange }: { value: number | null; isDisabled: boolean; onChange(value: number | null): void }) {
  return (
    <Stack gap="xs">
      <Switch
        label="Calibrated for you"
        description="Measured so that it answers what your documents cover, and hands over the rest."
        checked={value === null}
        onChange={(changed) => onChange(changed.currentTarget.checked ? null : USUAL_THRESHOLD)}
      />
      {value !== null && (
        <div>
          <Group justify="space-between"><Text size="xs" c="dimmed">Answers more</Text><Text size="xs" c="dimmed">Hands over more</Text></Group>
          <Slider
            thumbLabel="Confidence below which the assistant hands over"
            disabled={isDisabled}
            min={0}
            max={1}
            step={0.01}
            value={value}
            onChange={onChange}
            label={(shown) => `${Math.round(shown * 100)} %`}
          />
        </div>
      )}
    </Stack>
  );
}
