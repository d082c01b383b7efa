"""The video APIs that Reelkeep speaks to, on one machine and without an account.

`python -m local.simulator` starts it; `local.simulator.server.Simulator` does the same inside a test. Both
dialects answer like the real services, also in unusual cases; `/_simulator` turns faults and settings on.

Reading order: `world` (what exists), `sora_jobs` and `videos` (how each dialect shows it), `faults` and
`delivery` (how an answer goes wrong on its way), `render` (where the MP4 comes from), `server` (the sockets).
"""
