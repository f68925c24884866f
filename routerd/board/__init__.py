"""Boards, providers and the store's other given facts, as data laid over data. No `if board ==` anywhere.

`board/<vendor>/<board>/board.toml` is laid over its `base` chain down to `generic/default`; a provider's
`board/<vendor>/mnsp.toml` stands beside it. Every value knows the file it came from.
"""
