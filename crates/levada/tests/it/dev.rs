//! `levada dev`: everything it prints works as soon as it answers at all.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::client;
use crate::server::{binary, eventually};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whoever_is_served_can_log_in() {
    let folder = tempfile::tempdir().unwrap();
    // The port is free again by the time the server takes it; nothing else here asks for ports by number.
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = binary();
    command
        .args(["dev", "--rate", "0", "--listen", &address.to_string(), "--data"])
        .arg(folder.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Running(command.spawn().unwrap());
    eventually("the server listens", || TcpStream::connect(address).is_ok());
    // Connections wait from the moment it listens; the first that is answered may log in.
    let login = client::request(
        address,
        "POST",
        "/v1/login",
        &[("content-type", "application/json")],
        br#"{"username": "demo", "password": "levada-demo"}"#,
    );
    assert_eq!(login.status, 200);
}
