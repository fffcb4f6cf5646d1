//! Publish to and subscribe to a Levada server: batching, retries, durable resume.
