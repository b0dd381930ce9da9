"""What the verbs say while they work: small frozen records that anything can render.

An event holds plain scalars and tuples, never a tensor, so it can cross a thread, a process, a
log file or a test. Each verb has its own union; renderers ``match`` over it and the type checker
refuses a forgotten case. Each is imported from the module of its verb: what a chat says is there
without what a training run says (5 ms of its first picture).
"""
