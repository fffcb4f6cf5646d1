//! A schema server that never answers holds no request beyond its deadline.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::client;
use crate::server::Site;

#[test]
fn schemas_that_do_not_come_are_told_at_the_deadline() {
    // Connections are taken by the kernel and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"http://{}/\"]\n[intake]\ndeadline = \"300ms\"\n",
        silent.local_addr().unwrap()
    ));
    site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
    let server = site.start();
    let event = |number: u32| json!({"$schema": format!("/test/{number}.0.0"), "meta": {"stream": "a"}});
    let events: Vec<Value> = (1..=4).map(event).collect();
    let response = client::post(server.address, &json!(events).to_string());
    assert_eq!(response.status, 503);
    let body = response.text();
    assert_eq!(body.matches("within the request's deadline").count(), 4, "{body}");
    assert_eq!(body.matches("\"schema_unavailable\"").count(), 4, "{body}");
}
