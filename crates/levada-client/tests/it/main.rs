//! The client against a server that does as scripted: cut, slow, overloaded, garbage.

#[cfg(test)]
mod login;
#[cfg(test)]
mod producer;
#[cfg(test)]
mod realtime;
#[cfg(test)]
mod server;
#[cfg(test)]
mod subscriber;
