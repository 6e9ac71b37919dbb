import styles from "./brand.module.css";

export function Brand({ size = 28 }: { size?: number }) {
  return (
    <span className={styles.brand}>
      <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="9" fill="var(--mantine-primary-color-filled)" />
        <path d="M10 8h5.5a8 8 0 0 1 0 16H10z" fill="none" stroke="#fff" strokeWidth="3" strokeLinejoin="round" />
        <circle cx="16" cy="16" r="2.2" fill="#fff" />
      </svg>
      <span className={styles.name}>Dana</span>
    </span>
  );
}
