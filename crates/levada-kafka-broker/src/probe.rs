//! Asks a broker whether it takes part in its cluster: one Metadata request of Kafka's protocol, so
//! that nothing needs to be linked or installed for it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the broker on this port names at least one live broker. A broker that is starting has an
/// open port long before.
pub(crate) fn serves(port: u16) -> bool {
    ask(port).is_ok_and(|brokers| brokers > 0)
}

/// The number of live brokers that a Metadata request (API 3, version 1) is answered with.
fn ask(port: u16) -> std::io::Result<i32> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let client = b"probe";
    let mut request = Vec::new();
    request.extend_from_slice(&3_i16.to_be_bytes());
    request.extend_from_slice(&1_i16.to_be_bytes());
    request.extend_from_slice(&7_i32.to_be_bytes());
    request.extend_from_slice(&(client.len() as i16).to_be_bytes());
    request.extend_from_slice(client);
    // No topics: an empty array, as opposed to a null one, which asks for all.
    request.extend_from_slice(&0_i32.to_be_bytes());
    socket.write_all(&(request.len() as i32).to_be_bytes())?;
    socket.write_all(&request)?;
    // Length, correlation id, number of brokers.
    let mut answer = [0; 12];
    socket.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
