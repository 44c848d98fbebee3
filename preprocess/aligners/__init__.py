"""Programs that link the words of parallel text in both directions, and how the two directions are combined."""
