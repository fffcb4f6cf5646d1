//! The Levada service as a library: boot, configuration, intake, delivery, HTTP.
