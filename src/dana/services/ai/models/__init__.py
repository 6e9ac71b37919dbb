"""The assistant's nouns and rules: what it says, when it says nothing, and what it must never say."""
