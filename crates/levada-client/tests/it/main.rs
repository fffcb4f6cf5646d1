//! The client against a server that does as scripted: cut, slow, overloaded, garbage.

mod producer;
mod server;
mod subscriber;
