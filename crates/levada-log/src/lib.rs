//! The log contract, its memory model and contract suite, the shared tail and the embedded engine.
