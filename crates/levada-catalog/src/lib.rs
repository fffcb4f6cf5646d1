//! Which streams exist and what their events must look like: stream configuration and JSON Schemas.
