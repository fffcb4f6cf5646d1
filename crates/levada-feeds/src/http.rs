//! The feeds over HTTP: from a request to an answer, without a server.
//!
//! `route` reads the path, `answer` decides what is served, `compose` makes bodies of feeds, `headers` dresses them
//! after the contract that was asked. Trusts nothing in a request.

mod answer;
mod compose;
mod document;
mod encoding;
mod etag;
mod headers;
mod language;
mod page;
mod problem;
mod query;
mod route;
mod spec;

pub(crate) use answer::{Answerer, Asked};
pub(crate) use compose::{Kind, Served};
pub(crate) use etag::request_id;
pub(crate) use problem::Problem;
pub(crate) use route::{claims, is_domain};
