import { useNavigate, useSearch } from "@tanstack/react-router";
import { KnowledgePage } from "@/features/knowledge";

export function KnowledgeRoute() {
  const search = useSearch({ from: "/shell/knowledge" });
  const navigate = useNavigate({ from: "/knowledge" });
  return (
    <KnowledgePage
      tab={search.tab ?? "documents"}
      documentId={search.document ?? null}
      onReindexing={() => void navigate({ to: "/jobs" })}
      onTab={(tab) => void navigate({ search: tab === "test" ? { tab } : {} })}
      onDocument={(id) => void navigate({ search: ({ tab }) => ({ ...(tab ? { tab } : {}), ...(id ? { document: id } : {}) }) })}
    />
  );
}
