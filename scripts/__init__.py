"""Tools beside the product: simulator, demo, benchmarks."""
