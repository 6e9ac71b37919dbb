import { Button } from "@mantine/core";
import { IconWand } from "@tabler/icons-react";
import { useSample } from "./actions";

export function SampleButton({ variant = "light" }: { variant?: "light" | "filled" }) {
  const sample = useSample();
  return (
    <Button variant={variant} leftSection={<IconWand size={16} />} loading={sample.isPending} onClick={() => sample.mutate()}>
      Add the sample help centre
    </Button>
  );
}
