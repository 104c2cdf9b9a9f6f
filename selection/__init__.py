"""Which items deserve a person: pure scores on arrays; embeddings and the FAISS index at the edge."""
