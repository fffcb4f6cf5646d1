//! Accounts of Levada: users, groups, tokens, API keys, and who may do what.
