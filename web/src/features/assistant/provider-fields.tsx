import { Fieldset, PasswordInput, Radio, Stack, TextInput } from "@mantine/core";
import fieldset from "./fieldset.module.css";
import type { Assistant } from "@/platform/api/types";

type Provider = Assistant["provider"];

interface Props {
  provider: Provider;
  isDisabled: boolean;
  onChange(provider: Provider): void;
}

/** Who finds the words: the embedded extractor, or a language model of one's own choice. */
export function ProviderFields({ provider, isDisabled, onChange }: Props) {
  const change = (part: Partial<Provider>) => onChange({ ...provider, ...part });
  return (
    <Fieldset classNames={fieldset} legend="Model" disabled={isDisabled}>
      <Stack>
        <Radio.Group aria-label="Model" value={provider.kind} onChange={(value) => change({ kind: value as Provider["kind"] })}>
          <Stack gap="sm">
            <Radio value="extractive" label="Built in" description="Quotes your documents word for word. Free, private, works without internet." />
            <Radio value="openai" label="A language model" description="Any server that speaks the OpenAI protocol, also one of your own. Every answer is still checked against your documents." />
          </Stack>
        </Radio.Group>
        {provider.kind === "openai" && (
          <>
            <TextInput type="url" label="Address" required placeholder="https://api.openai.com/v1" value={provider.base_url} onChange={(changed) => change({ base_url: changed.currentTarget.value })} />
            <TextInput label="Model name" required value={provider.model} onChange={(changed) => change({ model: changed.currentTarget.value })} />
            <PasswordInput
              label="API key"
              description="Kept encrypted, and never shown again. Leave it as it is to keep the saved one."
              autoComplete="off"
              value={provider.api_key}
              onChange={(changed) => change({ api_key: changed.currentTarget.value })}
            />
          </>
        )}
      </Stack>
    </Fieldset>
  );
}
