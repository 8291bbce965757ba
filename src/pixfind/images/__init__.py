"""One picture: where its bytes come from, how they are decoded, its thumbnail."""
