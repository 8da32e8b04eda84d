//! Events and values as text and JSON.
