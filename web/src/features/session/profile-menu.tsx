import { Menu, Text, UnstyledButton, useMantineColorScheme, VisuallyHidden } from "@mantine/core";
import { IconBook, IconDeviceDesktop, IconLogout, IconLogout2, IconMoon, IconSun } from "@tabler/icons-react";
import { useSession } from "@/platform/session/session";
import { useConfirm } from "@/ui/confirm";
import { Person } from "@/ui/person";
import { signOut } from "./sign-out";
import styles from "./profile-menu.module.css";

export function ProfileMenu() {
  const { user, organization_name } = useSession();
  const [question, ask] = useConfirm();
  const askToSignOutEverywhere = () =>
    ask({
      title: "Sign out everywhere?",
      text: "Every browser and device in which you are signed in has to sign in again.",
      verb: "Sign out everywhere",
      onYes: () => void signOut(true),
    });
  return (
    <>
      <Menu position="right-end" width={250} shadow="md">
        <Menu.Target>
          <UnstyledButton className={styles.button}>
            <VisuallyHidden>Your profile</VisuallyHidden>
            <Person name={user.name} id={user.user_id} size={32} />
            <span className={styles.names}>
              <Text component="span" size="sm" fw={550} truncate>{user.name}</Text>
              <Text component="span" size="xs" c="dimmed" truncate>{organization_name}</Text>
            </span>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{user.email}</Menu.Label>
          <Menu.Divider />
          <Menu.Label>Colours</Menu.Label>
          <SchemeChoice />
          <Menu.Divider />
          <Menu.Item component="a" href="/docs/" target="_blank" rel="noopener" leftSection={<IconBook size={16} />}>API reference</Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut(false)}>Sign out</Menu.Item>
          <Menu.Item leftSection={<IconLogout2 size={16} />} onClick={askToSignOutEverywhere}>Sign out everywhere</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {question}
    </>
  );
}

const SCHEMES = [
  { value: "light", name: "Light", icon: IconSun },
  { value: "dark", name: "Dark", icon: IconMoon },
  { value: "auto", name: "As the system", icon: IconDeviceDesktop },
] as const;

function SchemeChoice() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu.RadioGroup value={colorScheme} onChange={(value) => setColorScheme(value as typeof colorScheme)}>
      {SCHEMES.map(({ value, name, icon: Icon }) => (
        <Menu.RadioItem key={value} value={value} closeMenuOnClick={false} rightSection={<Icon size={16} />}>{name}</Menu.RadioItem>
      ))}
    </Menu.RadioGroup>
  );
}
