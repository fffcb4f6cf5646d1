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

#[test]
fn no_server_but_its_own_starts_with_the_demo_login() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = binary();
        command.current_dir(folder.path()).args(arguments);
        command
    };
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = address.to_string();
    let mut dev = run(&["dev", "--rate", "0", "--listen", &listen]);
    let dev = Running(dev.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the server listens", || TcpStream::connect(address).is_ok());
    let login = || {
        let body = br#"{"username": "demo", "password": "levada-demo"}"#;
        let json = [("content-type", "application/json")];
        client::request(address, "POST", "/v1/login", &json, body).status
    };
    assert_eq!(login(), 200);
    drop(dev);
    // In the same folder, with what `levada serve` takes if nothing else is said.
    let required = ["--listen", &listen, "--set", "auth.mode=required"];
    let mut serve = run(&["serve"]);
    let serve = Running(
        serve
            .args(required)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    eventually("the server listens", || TcpStream::connect(address).is_ok());
    assert_eq!(login(), 401);
    drop(serve);
    // Told to use the folder of the demo it does not start, until the password is another.
    let shared = ["--data", "levada-dev-data"];
    let mut refused = run(&["serve"]);
    let refused = refused.args(required).args(shared).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("levada user passwd demo"), "{said}");
    let changed = run(&["user", "passwd", "demo"]).args(shared).output().unwrap();
    assert!(changed.status.success(), "{changed:?}");
    let mut serve = run(&["serve"]);
    let serve = serve
        .args(required)
        .args(shared)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _serve = Running(serve.spawn().unwrap());
    eventually("the server listens", || TcpStream::connect(address).is_ok());
    assert_eq!(login(), 401);
}
