"""How channels flow through a graph: which are tied, constant, or needed.

`analysis.analyse` walks a `Graph` with one rule per operation family
(`rules/`) and fills a `ChannelFlow`; what stands above decides what to do with
it: which sites can be gated together, which channels a mask removes.
"""
