import { Button, Menu, Modal } from "@mantine/core";
import { IconChevronDown, IconFileExport, IconFileImport, IconTrash } from "@tabler/icons-react";
import { type ComponentType, useState } from "react";
import type { Inbox } from "@/platform/api/types";
import { DeleteForm } from "./delete-form";
import { ExportForm } from "./export-form";
import { ImportForm } from "./import-form";

export interface FormProps {
  inboxes: readonly Inbox[];
  onAsked(): void;
}

type Wanted = "export" | "import" | "delete";

const FORMS: Record<Wanted, { title: string; Form: ComponentType<FormProps> }> = {
  export: { title: "Export conversations", Form: ExportForm },
  import: { title: "Import conversations", Form: ImportForm },
  delete: { title: "Delete old conversations", Form: DeleteForm },
};

export function StartMenu({ inboxes }: { inboxes: readonly Inbox[] }) {
  const [wanted, setWanted] = useState<Wanted>("export");
  const [isOpen, setOpen] = useState(false);
  const open = (form: Wanted) => {
    setWanted(form);
    setOpen(true);
  };
  const { title, Form } = FORMS[wanted];
  return (
    <>
      <Menu position="bottom-end" width={240}>
        <Menu.Target>
          <Button rightSection={<IconChevronDown size={16} />}>New job</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconFileExport size={16} />} onClick={() => open("export")}>Export conversations…</Menu.Item>
          <Menu.Item leftSection={<IconFileImport size={16} />} onClick={() => open("import")}>Import conversations…</Menu.Item>
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={() => open("delete")}>Delete old conversations…</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={isOpen} onClose={() => setOpen(false)} title={title} closeButtonProps={{ "aria-label": "Close" }}>
        <Form inboxes={inboxes} onAsked={() => setOpen(false)} />
      </Modal>
    </>
  );
}
